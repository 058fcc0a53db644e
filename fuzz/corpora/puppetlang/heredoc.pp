$x = @("E":json/tn)
  a ${$b["c"]} \t
  | - E

notice(@(A), @(B))
a
A
b
B
