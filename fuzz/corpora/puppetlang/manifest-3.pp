class mymod(
  String $greeting = 'hello',
  Optional[Integer] $count = undef,
  Enum['absent', 'present'] $ensure = 'present',
  String $base = '/tmp',
) {
  file { [$base, "${base}/etc"]: ensure => directory, backup => false }
  # a comment with { braces
  file { "${base}/etc/greeting.txt":
    ensure  => file,
    content => "${greeting}\n",
    tag     => 'greeting',
  }
}
