//! nginx, with `limit_req` by consumer. By default it reads a page at a time, and a download costs
//! it three times as much.

use std::{path::Path, process::Command};

use legation_testing::ALICE_KEY;

use super::{CONNECTIONS, Check, program, write};

pub fn command(folder: &Path, port: u16, upstream: u16, check: Check) -> Command {
    let (mut tables, mut checks) = (String::new(), String::new());
    if let Check::KeyAndLimit(limit) = check {
        tables = format!(
            r#"
    map $http_x_api_key $consumer {{ default ""; "{ALICE_KEY}" alice; }}
    limit_req_zone $consumer zone=consumers:1m rate={limit}r/s;"#
        );
        checks = format!(
            r#"
            if ($consumer = "") {{ return 401; }}
            limit_req zone=consumers burst={limit} nodelay;
            limit_req_status 429;
            proxy_set_header x-consumer-id $consumer;
            proxy_set_header x-api-key "";"#
        );
    }
    let folder = folder.display();
    let configuration = format!(
        r#"
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections {CONNECTIONS}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream svc {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 1000000;
    }}{tables}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://svc;
            proxy_http_version 1.1;
            proxy_set_header connection "";
            proxy_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_read_timeout 1d;{checks}
        }}
    }}
}}
"#
    );
    let path = write(Path::new(&folder.to_string()), "nginx.conf", &configuration);
    let mut command = Command::new(program("nginx"));
    command.arg("-e").arg("stderr").arg("-c").arg(path);
    command
}
