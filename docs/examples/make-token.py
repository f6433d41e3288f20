# Prints a token of 15 minutes: M2PUSH_KEY=SECRET python3 make-token.py SUB TOPIC...   (no package; PyJWT does the same)
import base64, hashlib, hmac, json, os, sys, time, uuid
def base64url(data): return base64.urlsafe_b64encode(data).rstrip(b"=")
def part(value): return base64url(json.dumps(value).encode())
sub, *topics = sys.argv[1:]
claims = {"mercure": {"subscribe": topics}, "sub": sub, "exp": int(time.time()) + 900, "jti": str(uuid.uuid4())}
signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
signature = hmac.new(os.environ["M2PUSH_KEY"].encode(), signed, hashlib.sha256).digest()
print((signed + b"." + base64url(signature)).decode())
