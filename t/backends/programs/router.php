<?php
// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// PHP's own server with one script for all: php -S 127.0.0.1:PORT router.php
$path = rawurldecode(explode('?', $_SERVER['REQUEST_URI'])[0]);
header('Content-Type: text/plain');
echo 'section=', preg_match('{^/app(?:/|$)}', $path) ? 'app' : 'open', "\n";
foreach (['query' => $_GET, 'form' => $_POST, 'cookie' => $_COOKIE, 'request' => $_REQUEST] as $source => $values) {
    if (isset($values['client_id'])) {
        echo $source, '=', is_string($values['client_id']) ? $values['client_id'] : json_encode($values['client_id']), "\n";
    }
}
if (isset($_SERVER['HTTP_X_CLIENT_ID'])) {
    echo 'header=', $_SERVER['HTTP_X_CLIENT_ID'], "\n";
}
