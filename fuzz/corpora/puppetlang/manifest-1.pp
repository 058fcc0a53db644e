class mymod::broken {
  exec { 'will-fail': command => '/bin/false' }
}
