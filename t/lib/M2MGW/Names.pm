# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Spellings of the parameter client_id and of the header X-Client-Id, as data: what some
# backend reads under that name. t/backends/run and t/backends.t send them to real backends.
package M2MGW::Names;

use strict;
use warnings;

# Queries and forms that hold FORGED under a name some backend reads as client_id.
sub pairs {
    return map { [ $_, "a=b&$_=FORGED" ] } (
        'client_id', 'client%5Fid', '%63lient_id', 'Client_Id', 'client.id', 'client-id', 'client+id', 'client%20id',
        '+client_id', '%20client_id', '%09client_id', 'client_id[]', 'client_id[0]', 'client_id[a]', 'client_id%5B%5D', 'client[id',
        'client_id%00', 'client_id%00x', '.client_id', '%2Eclient_id', 'client_id.x', '[client_id]', 'client_id]x', '%EF%BB%BFclient_id',
        'client%u005fid', 'client_id%20', 'client_id+',
    ), ();
}

# Whole queries in which the name is ordinary and its place is not.
sub places {
    return map { [ $_, $_ ] } (
        'a=b;client_id=FORGED', 'client_id=x&client_id=FORGED', 'client_id=FORGED&client_id=x', '&&client_id=FORGED', 'a&client_id=FORGED',
        join('&', map { "p$_=1" } 1 .. 1100) . '&client_id=FORGED',
    );
}

# Header lines.
sub headers {
    return map { [ $_, "$_: FORGED\r\n" ] } qw(X-Client-Id x-client-id X_Client_Id X-Client_Id X_CLIENT_ID X.Client.Id HTTP_X_CLIENT_ID);
}

1;
