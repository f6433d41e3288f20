// Prints a token of 15 minutes: M2PUSH_KEY=SECRET go run make-token.go SUB TOPIC...   (no module; not run by the tests)
package main

import ("crypto/hmac"; "crypto/sha256"; "encoding/base64"; "encoding/json"; "fmt"; "os"; "time")

type object = map[string]any

func part(value object) string { data, _ := json.Marshal(value); return base64.RawURLEncoding.EncodeToString(data) }

func main() {
	exp := time.Now().Unix() + 900
	claims := object{"mercure": object{"subscribe": os.Args[2:]}, "sub": os.Args[1], "exp": exp, "jti": fmt.Sprint(time.Now().UnixNano())}
	signed := part(object{"alg": "HS256", "typ": "JWT"}) + "." + part(claims)
	mac := hmac.New(sha256.New, []byte(os.Getenv("M2PUSH_KEY")))
	mac.Write([]byte(signed))
	fmt.Println(signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}
