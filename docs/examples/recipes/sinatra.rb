# A Sinatra application that publishes: PORT=8000 ruby sinatra.rb   (Debian: ruby-sinatra). In Rails, call publish in an after_commit.
require "net/http"
require "sinatra/base"

class Orders < Sinatra::Base
  set :bind, "127.0.0.1"
  set :port, ENV.fetch("PORT")
  set :server, "webrick"

  def publish(topic, data)
    form = URI.encode_www_form(topic: topic, data: data)
    response = Net::HTTP.post(URI(ENV.fetch("MERCURE_URL")), form, "Authorization" => "Bearer #{ENV.fetch("MERCURE_JWT")}")
    response.is_a?(Net::HTTPSuccess) ? response.body : halt(502, "the hub answered #{response.code}: #{response.body}")
  end

  post("/orders/:number/status") { publish("orders/#{params["number"]}", params["status"]) }

  run!
end
