<?php // Publishes an event and prints its id: php publish.php TOPIC DATA [ADDRESS]   (Debian: php-cli php-zmq)
[, $topic, $data] = $argv;
$socket = new ZMQSocket(new ZMQContext(), ZMQ::SOCKET_REQ);
$socket->setSockOpt(ZMQ::SOCKOPT_LINGER, 0);
$socket->setSockOpt(ZMQ::SOCKOPT_RCVTIMEO, 10000);
$socket->connect($argv[3] ?? "tcp://127.0.0.1:9997");
$reply = json_decode($socket->sendmulti([$topic, $data])->recv() ?: '{"error":{"message":"no reply"}}');
if (isset($reply->id)) exit("$reply->id\n");
fwrite(STDERR, "{$reply->error->message}\n");
exit(1);
