class mymod::db(Sensitive[String] $password = Sensitive('s3cret'), Integer $port = 5432) {
  file { '/tmp/db.conf': ensure => file, content => $password, require => Class['mymod'] }
}
