#!/usr/bin/env ruby
# frozen_string_literal: true

# Runs `apply apply` and `apply prep` for the agent (agent.md §11.8): a request as JSON on standard input, a report or
# facts as JSON on standard output. Needs Puppet's Ruby library.
#
# Keys: action (apply | prep), environment, plugin_cache, ca, crt, key, crl, proxy, primary_uris; for apply: catalog and
# apply_options (Puppet settings such as noop, show_diff). Nothing of the machine's own Puppet configuration is read or
# written: every directory lies in a temporary one, but plugins, which stay in plugin_cache.

require 'fileutils'
require 'json'
require 'tmpdir'
require 'uri'

PUPPET_LIBRARY = '/opt/puppetlabs/puppet/lib/ruby/vendor_ruby'
$LOAD_PATH << PUPPET_LIBRARY if File.directory?(PUPPET_LIBRARY)
require 'puppet'
require 'puppet/configurer'

DIRECTORIES = %w[confdir codedir vardir logdir rundir publicdir].freeze

def command_line_settings(request, dir)
  settings = DIRECTORIES.to_h { |name| [name, File.join(dir, name)] }
  settings['plugindest'] = File.join(request['plugin_cache'], 'lib')
  settings['pluginfactdest'] = File.join(request['plugin_cache'], 'facts.d')
  settings.merge!('localcacert' => request['ca'], 'hostcert' => request['crt'], 'hostprivkey' => request['key'],
                  'hostcrl' => request['crl'])
  settings.reject! { |_, value| value.to_s.empty? }
  proxy = request['proxy'].to_s.empty? ? nil : URI.parse(request['proxy'])
  settings.merge!('http_proxy_host' => proxy.host, 'http_proxy_port' => proxy.port.to_s) if proxy
  settings.flat_map { |name, value| ["--#{name}", value] }
end

def initialize_puppet(request, dir)
  Puppet.initialize_settings(command_line_settings(request, dir))
  Puppet[:report] = false
  Puppet[:usecacheonfailure] = false
  (request['apply_options'] || {}).each { |name, value| Puppet[name.to_sym] = value }
  # Not settings.use: it would set owners and modes of the agent's certificate and key.
  %i[confdir codedir vardir statedir logdir rundir publicdir plugindest pluginfactdest client_datadir
     clientbucketdir].each { |name| FileUtils.mkdir_p(Puppet[name]) }
  Puppet::Util::Log.level = :err
end

def ssl_context
  certs = Puppet::X509::CertProvider.new
  Puppet::SSL::SSLProvider.new.create_context(
    cacerts: certs.load_cacerts(required: true), crls: certs.load_crls || [], revocation: :leaf,
    private_key: OpenSSL::PKey.read(File.read(Puppet[:hostprivkey])),
    client_cert: OpenSSL::X509::Certificate.new(File.read(Puppet[:hostcert]))
  )
end

# From the first server that answers.
def sync_plugins(request, environment)
  failure = nil
  request['primary_uris'].each do |text|
    uri = URI.parse(text)
    Puppet[:server] = uri.host
    Puppet[:serverport] = uri.port
    session = Puppet.runtime[:http].create_session
    Puppet.override(ssl_context: ssl_context, http_session: session) do
      Puppet::Configurer::PluginHandler.new.download_plugins(environment)
    end
    return
  rescue StandardError => e
    failure = e
  end
  raise failure if failure
end

def load_plugins
  $LOAD_PATH.unshift(Puppet[:plugindest])
  Puppet::Util::Autoload.reload_changed(Puppet.lookup(:current_environment))
end

def facts(environment)
  Facter.search(File.join(Puppet[:plugindest], 'facter'))
  Facter.search_external([Puppet[:pluginfactdest]]) if File.directory?(Puppet[:pluginfactdest])
  Puppet::Node::Facts.indirection.terminus_class = :facter
  Puppet::Node::Facts.indirection.find(Puppet[:certname], environment: environment)
end

def resolve_deferred(environment, catalog)
  return unless defined?(Puppet::Pops::Evaluator::DeferredResolver)

  Puppet::Pops::Evaluator::DeferredResolver.resolve_and_replace(facts(environment), catalog)
end

def apply(request, environment)
  catalog = Puppet::Resource::Catalog.from_data_hash(request['catalog'])
  catalog.environment = environment.name.to_s
  catalog.environment_instance = environment
  resolve_deferred(environment, catalog)
  report = Puppet::Transaction::Report.new(catalog.version, environment.name.to_s, catalog.catalog_uuid)
  Puppet::Util::Log.newdestination(report)
  ral = catalog.to_ral
  ral.finalize
  ral.apply(report: report, network_device: false)
  report.finalize_report
  puts JSON.generate(report.to_data_hash)
  report.exit_status == 1 ? 1 : 0
end

def prep(environment)
  puts JSON.generate(facts(environment).values)
  0
end

def main
  request = JSON.parse($stdin.read)
  Dir.mktmpdir('puppet-apply-') do |dir|
    initialize_puppet(request, dir)
    environment = Puppet::Node::Environment.remote(request['environment'].to_sym)
    Puppet.override(current_environment: environment, loaders: Puppet::Pops::Loaders.new(environment)) do
      sync_plugins(request, environment)
      load_plugins
      request['action'] == 'prep' ? prep(environment) : apply(request, environment)
    end
  end
rescue StandardError, LoadError => e
  warn "#{e.class}: #{e.message}"
  1
end

exit main
