<?php
// Publishes a private update with Symfony's Mercure component, unmodified: php symfony.php TOPIC DATA   (Debian: php-symfony-mercure)
// In an application the Flex recipe of symfony/mercure-bundle reads the same variables, and HubInterface is a service.
require '/usr/share/php/Symfony/Component/Mercure/autoload.php'; // with Composer: vendor/autoload.php

use Symfony\Component\Mercure\Hub;
use Symfony\Component\Mercure\Jwt\StaticTokenProvider;
use Symfony\Component\Mercure\Update;

[, $topic, $data] = $argv;
$hub = new Hub(getenv('MERCURE_URL'), new StaticTokenProvider(getenv('MERCURE_JWT')));
echo $hub->publish(new Update($topic, json_encode(['status' => $data]), true)), "\n"; // true: private
