# Varnish in front of Forewatt: kept as CDN-Cache-Control says, stale while it asks again, purged by Surrogate-Key.
#
# Needs nothing beyond Varnish 6 or newer. In Forewatt's configuration:
#
#   [outward]
#   allow_networks = ["127.0.0.1"]          # where Varnish is
#   [outward.cdn]
#   max_age_s = 60
#   stale_while_revalidate_s = 30
#   stale_if_error_s = 600
#   purge_urls = ["http://127.0.0.1:6081/"]
#
# The header X-Cache says HIT, STALE or MISS.
vcl 4.1;

import std;

backend forewatt {
    .host = "127.0.0.1";
    .port = "8080";
    .probe = { .url = "/health/ready"; .interval = 2s; .timeout = 1s; .window = 3; .threshold = 2; .initial = 2; }
}

# Who may purge: the nodes of Forewatt.
acl purgers {
    "localhost";
}

sub vcl_recv {
    if (req.method == "PURGE") {
        if (client.ip !~ purgers) {
            return (synth(403, "Not from there"));
        }
        if (!req.http.Surrogate-Key) {
            return (synth(400, "Name the keys in Surrogate-Key"));
        }
        if (req.http.Surrogate-Key !~ "^[A-Za-z0-9._ -]+$") {
            return (synth(400, "Keys are letters, digits and . _ -"));
        }
        # "series-a series-b" becomes one expression: any of these as a whole word. A dot is a dot.
        set req.http.X-Keys = regsuball(regsuball(req.http.Surrogate-Key, "\.", "[.]"), " +", "|");
        # Fields of the object alone, so that the ban lurker can do it without waiting for requests.
        ban("obj.http.Surrogate-Key ~ (^|\s)(" + req.http.X-Keys + ")(\s|$)");
        return (synth(200, "Purged"));
    }
    # A client must not choose what the server believes of it, nor split the cache by what it says.
    unset req.http.X-Keys;
    if (req.restarts > 0 && req.http.X-Ask) {
        set req.hash_always_miss = true;
    }
    unset req.http.X-Ask;
    if (req.http.Authorization || req.http.Cookie || (req.method != "GET" && req.method != "HEAD")) {
        return (pass);
    }
    # One copy for everybody; Varnish unpacks it for those who cannot.
    return (hash);
}

sub vcl_backend_fetch {
    # The server answers to its own names only.
    set bereq.http.Host = "127.0.0.1:8080";
}

sub vcl_backend_response {
    # RFC 9213: what is said to caches in front goes before what is said to browsers.
    if (beresp.http.CDN-Cache-Control ~ "max-age=[0-9]+") {
        set beresp.ttl = std.duration(regsub(beresp.http.CDN-Cache-Control, ".*max-age=([0-9]+).*", "\1") + "s", 0s);
        set beresp.grace = 0s;
        if (beresp.http.CDN-Cache-Control ~ "stale-while-revalidate=[0-9]+") {
            set beresp.grace = std.duration(
                regsub(beresp.http.CDN-Cache-Control, ".*stale-while-revalidate=([0-9]+).*", "\1") + "s", 0s);
        }
        # While the server is away grace may be as long as stale-if-error: vcl_hit below keeps to the shorter one else.
        set beresp.http.X-Grace = beresp.grace + "s";
        if (beresp.http.CDN-Cache-Control ~ "stale-if-error=[0-9]+") {
            set beresp.grace = std.duration(
                regsub(beresp.http.CDN-Cache-Control, ".*stale-if-error=([0-9]+).*", "\1") + "s", 0s);
        }
        # Asking whether it has changed costs a 304, not a forecast.
        set beresp.keep = 1h;
        if (beresp.status >= 500) {
            set beresp.uncacheable = true;
        }
        return (deliver);
    }
    set beresp.uncacheable = true;
    return (deliver);
}

sub vcl_hit {
    if (obj.ttl < 0s && std.healthy(req.backend_hint) && obj.ttl + std.duration(obj.http.X-Grace, 0s) < 0s) {
        # Older than stale-while-revalidate allows, and the server is well: ask it.
        set req.http.X-Ask = "1";
        return (restart);
    }
    return (deliver);
}

sub vcl_deliver {
    if (obj.uncacheable) {
        set resp.http.X-Cache = "PASS";
    } elseif (obj.hits == 0) {
        set resp.http.X-Cache = "MISS";
    } elseif (obj.ttl < 0s) {
        set resp.http.X-Cache = "STALE";
    } else {
        set resp.http.X-Cache = "HIT";
    }
    unset resp.http.X-Grace;
    # Keys are between the server and its caches.
    unset resp.http.Surrogate-Key;
    unset resp.http.CDN-Cache-Control;
}
