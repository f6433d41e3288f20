# Prints a token of 15 minutes: M2PUSH_KEY=SECRET ruby make-token.rb SUB TOPIC...   (no package; the gem jwt does the same)
require "base64"
require "json"
require "openssl"
require "securerandom"
base64url = ->(data) { Base64.urlsafe_encode64(data, padding: false) }
sub, *topics = ARGV
claims = { mercure: { subscribe: topics }, sub: sub, exp: Time.now.to_i + 900, jti: SecureRandom.uuid }
signed = [{ alg: "HS256", typ: "JWT" }, claims].map { |it| base64url.(it.to_json) }.join(".")
puts "#{signed}.#{base64url.(OpenSSL::HMAC.digest("SHA256", ENV.fetch("M2PUSH_KEY"), signed))}"
