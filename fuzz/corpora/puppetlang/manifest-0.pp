node 'node1.example.com' { class { 'mymod': greeting => 'hello from node1' } }
node default { }
