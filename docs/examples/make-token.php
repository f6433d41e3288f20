<?php // Prints a token of 15 minutes: M2PUSH_KEY=SECRET php make-token.php SUB TOPIC...   (no package; firebase/php-jwt does the same)
$base64url = fn(string $data): string => rtrim(strtr(base64_encode($data), "+/", "-_"), "=");
[$sub, $topics] = [$argv[1], array_slice($argv, 2)];
$claims = ["mercure" => ["subscribe" => $topics], "sub" => $sub, "exp" => time() + 900, "jti" => bin2hex(random_bytes(16))];
$signed = $base64url(json_encode(["alg" => "HS256", "typ" => "JWT"])) . "." . $base64url(json_encode($claims));
echo $signed . "." . $base64url(hash_hmac("sha256", $signed, getenv("M2PUSH_KEY"), true)) . "\n";
