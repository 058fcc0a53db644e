application shop(String $db_user, Integer $listen = 8080) {
  shop::store { $name: user => $db_user, export => Shopdb["db-${name}"] }
  shop::api { "${name}-1": listen => $listen, consume => Shopdb["db-${name}"], export => Shopweb["api-${name}-1"] }
}
Shop::Api consumes Shopdb { db_host => $host, db_port => $port }
site { shop { 'eu': db_user => 'shop', nodes => { Node['db1'] => Shop::Store['eu'], Node['a'] => [Shop::Api['eu-1']] } } }
