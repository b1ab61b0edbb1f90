//! Pairs of errors as programs write them: one error or two.

use costsim_core::signature::template;

/// One error: what differs are ids, times, amounts.
const SAME: &[(&str, &str)] = &[
    // Python.
    (
        "pydantic_core.ValidationError: 2 validation errors for Order",
        "pydantic_core.ValidationError: 1 validation error for Order",
    ),
    ("Error: 4 validation errors for Plan", "Error: 11 validation errors for Plan"),
    ("IndexError: list index 7 out of range", "IndexError: list index 1024 out of range"),
    ("<Task object at 0x7f1d22c4a0> was never awaited", "<Task object at 0x55aa01ff10c8> was never awaited"),
    ("File \"/srv/agent/loop.py\", line 88, in step", "File \"/srv/agent/loop.py\", line 131, in step"),
    ("TimeoutError: no answer after 2.5s", "TimeoutError: no answer after 820ms"),
    ("asyncio.TimeoutError after 1m", "asyncio.TimeoutError after 45s"),
    ("subprocess took 0.3 seconds", "subprocess took 1 second"),
    ("MemoryError: cannot allocate 1.5GiB", "MemoryError: cannot allocate 900 MiB"),
    ("job ran for 1 day, 3:02:11", "job ran for 12 days, 10:00:00"),
    ("elapsed 1 day, 0:00:01", "elapsed 0:00:07.25"),
    ("retry in 1 hour 5 minutes", "retry in 20 seconds"),
    ("retry in 1 minute and 5 seconds", "retry in 3 hours"),
    // Java.
    ("at org.acme.Loader.load(Loader.java:41)", "at org.acme.Loader.load(Loader.java:407)"),
    ("lock held by org.acme.Lock@3f2a1b9c", "lock held by org.acme.Lock@deadbeef"),
    ("lock held by org.acme.Lock@3f2a1b", "lock held by org.acme.Lock@12345678"),
    ("Java heap space: 512 MB used", "Java heap space: 2 GB used"),
    (
        "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
        "HikariPool-1 - Connection is not available, request timed out after 30001ms.",
    ),
    // Go.
    ("context deadline exceeded after 6m0s", "context deadline exceeded after 950ms"),
    ("dial tcp 10.4.0.7:5432: i/o timeout", "dial tcp 10.4.12.9:6432: i/o timeout"),
    ("goroutine 18 [running]", "goroutine 2044 [running]"),
    ("read tcp 10.0.0.1:41000->10.0.0.2:443: reset", "read tcp 10.9.0.1:52111->10.0.7.2:8443: reset"),
    (
        "panic: runtime error: index out of range [5] with length 3",
        "panic: runtime error: index out of range [17] with length 12",
    ),
    // Clients of HTTP.
    (
        "GET https://api.acme.test/v1/jobs/81?x=1 failed",
        "GET https://api.acme.test/v1/jobs/7f3a2b?y=2 failed",
    ),
    ("Max retries exceeded (timeout=30.0)", "Max retries exceeded (timeout=5)"),
    ("HTTP 503 after 1.2s", "HTTP 503 after 900ms"),
    ("Retry-After: 30", "Retry-After: 120"),
    ("sent 5 MB of 12 MB", "sent 700 KB of 9 GB"),
    // PostgreSQL.
    ("canceled at 2026-11-22 10:11:36.123456+00", "canceled at 2025-01-02 03:04:05.5+00"),
    ("canceled at 2026-11-22 10:11:36+00 by user", "canceled at 2025-01-02T03:04:05Z by user"),
    ("began 2026-11-22 10:11:36 Z", "began 2026-11-22 10:11:36.5-03"),
    ("began 2026-11-22 10:11:36 CET", "began 2026-11-22 10:11:36 UTC"),
    ("Key (id)=(31) already exists", "Key (id)=(90210) already exists"),
    (
        "Process 411 waits for ShareLock on transaction 90",
        "Process 8 waits for ShareLock on transaction 118811",
    ),
    ("LINE 1: column x at character 15", "LINE 4: column x at character 203"),
    ("[4411] LOG: could not receive data", "[92] LOG: could not receive data"),
    ("duration: 1021.332 ms", "duration: 9.1 s"),
    // MySQL.
    ("Aborted connection 71 to db", "Aborted connection 80155 to db"),
    (
        "ERROR 1062 (23000): Duplicate entry '5' for key 'id'",
        "ERROR 1062 (23000): Duplicate entry '17' for key 'id'",
    ),
    ("(2006, 'gone away after 5 s')", "(2006, 'gone away after 12 s')"),
    // Kubernetes.
    ("pod agent-7d9f8b6c5d-x2x4z evicted", "pod agent-5c4d3b2a1f-bcdfg evicted"),
    ("pod agent-7d9f8b6c5d-x2x4z evicted", "pod agent-5c4d3b2a1f-abcde evicted"),
    ("job sweep-28391042-kq7xv failed", "job sweep-28391043-bcdfg failed"),
    ("job sweep-28391042-abcde failed", "job sweep-28391099-fghij failed"),
    ("0/3 nodes are available: 3 Insufficient cpu", "0/40 nodes are available: 12 Insufficient cpu"),
    ("container 1a2b3c4d died", "container 12345678 died"),
    ("container 1a2b3c4d died", "container abcdef12 died"),
    ("container abcdefab died", "container 12345678 died"),
    ("back-off 5m0s restarting", "back-off 40s restarting"),
    ("memory limit 512Mi reached", "memory limit 4Gi reached"),
    // Clouds.
    ("s3://acme/2026/11/22/a.json is missing", "s3://acme/2025/01/02/a.json is missing"),
    (
        "RequestId: 1b2c3d4e-1111-4222-8333-444455556666 failed",
        "RequestId: 99aabbcc-1111-4222-8333-0123456789ab failed",
    ),
    ("Task timed out after 3.00 seconds", "Task timed out after 900.10 seconds"),
    ("quota of 100 requests used up", "quota of 25000 requests used up"),
    ("AADSTS50011: reply address of app 12 differs", "AADSTS50011: reply address of app 977 differs"),
    // Models.
    ("Please try again in 1.998s.", "Please try again in 6m0s."),
    ("Rate limit for gpt-4: Limit 10000, Used 9821", "Rate limit for gpt-4: Limit 90000, Used 89990"),
    (
        "maximum context length is 8192 tokens, you sent 9001 tokens",
        "maximum context length is 128000 tokens, you sent 130111 tokens",
    ),
    ("request id req_abcdefghijkl", "request id req_011CSHoEeqs5C35K2"),
    ("claude-3-5-sonnet gave up after 3 tries", "claude-3-5-sonnet gave up after 12 tries"),
    // The application's own ids in capitals.
    ("payment for invoice INV-20417 refused", "payment for invoice INV-20418 refused"),
    ("shipment of ORD55012 is late", "shipment of ORD55990 is late"),
    ("cannot move ticket OPS-4410", "cannot move ticket OPS-1187"),
    ("no crew for LH1188", "no crew for LH2040"),
    ("account of C4417 is closed", "account of C9021 is closed"),
    ("mailbox of E4417 is full", "mailbox of E9021 is full"),
    ("seat E12345 is taken", "seat E54321 is taken"),
    // Numbers of things behind words for codes.
    ("error: 5 items were refused", "error: 9 items were refused"),
    ("Error 12345 rows lost", "Error 17 rows lost"),
    ("ERROR: 450 rows lost", "ERROR: 8 rows lost"),
    ("Error (12 of 50)", "Error (404 of 500)"),
    ("error 30 s after start", "error 500 s after start"),
    ("status: 42% done", "status: 7% done"),
    ("status: 500 % done", "status: 7 % done"),
    ("Invalid status: 5 retries left", "Invalid status: 4 retries left"),
    ("exit: 12 jobs left", "exit: 3 jobs left"),
    ("worker exited with 3 pending jobs", "worker exited with 14 pending jobs"),
    ("error [12345] worker died", "error [801] worker died"),
    ("got 450 of 500", "got 12 of 90"),
    ("received 512 bytes", "received 12 bytes"),
    ("returned 450 rows", "returned 3 rows"),
    ("job 5 failed", "job a1b2c3d failed"),
    ("commit abcdefab is unknown", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 is unknown"),
];

/// Two errors: what differs says which it is.
const OTHER: &[(&str, &str)] = &[
    // Python.
    (
        "requests.exceptions.HTTPError: 403 Client Error: x",
        "requests.exceptions.HTTPError: 401 Client Error: x",
    ),
    ("HTTPError: 404", "HTTPError: 500"),
    ("HTTP Error 404: x", "HTTP Error 410: x"),
    ("[Errno 2] x", "[Errno 13] x"),
    ("OSError: [WinError 5] x", "OSError: [WinError 32] x"),
    ("returned non-zero exit status 1.", "returned non-zero exit status 127."),
    ("returned non-zero exit status -9.", "returned non-zero exit status -11."),
    ("Python 3.8 is too old", "Python 3.12 is too old"),
    ("KeyError: 'total'", "KeyError: 'amount'"),
    // Java, .NET, Windows.
    ("HRESULT: 0x80070005", "HRESULT: 0x80070002"),
    ("0x80070005 denied", "0x80004005 denied"),
    ("CS0103: name", "CS0246: name"),
    ("java 11 is needed", "java 17 is needed"),
    // Go, Node.
    ("exit status 1", "exit status 2"),
    ("returned 1 exit status", "returned 2 exit status"),
    ("rpc error: code = 14 desc = x", "rpc error: code = 4 desc = x"),
    ("status code 14", "status code 4"),
    ("AxiosError: Request failed with status code 401", "AxiosError: Request failed with status code 502"),
    ("Unexpected server response: 401", "Unexpected server response: 502"),
    ("TS2304: x", "TS2322: x"),
    // HTTP.
    ("500 Internal Server Error", "503 Service Unavailable"),
    ("404 Not Found", "x Not Found"),
    ("502 Bad Gateway", "504 Bad Gateway"),
    ("429 Too Many Requests", "400 Too Many Requests"),
    ("404 Client Error for url", "410 Client Error for url"),
    ("500 Server Error for url", "502 Server Error for url"),
    ("Client error '401 Unauthorized' for url", "Client error '403 Unauthorized' for url"),
    ("upstream returned 502", "upstream returned 404"),
    ("got response 500 from server", "got response 401 from server"),
    ("response 401", "response 502"),
    ("response: 401", "response: 502"),
    ("got 401", "got 502"),
    ("received 429 from proxy", "received 503 from proxy"),
    ("failed with 401", "failed with 500"),
    ("{\"status\": 500}", "{\"status\": 404}"),
    ("status=500", "status=404"),
    ("status 500: x", "status 404: x"),
    ("status 500 from mx", "status 404 from mx"),
    ("HTTP/2 500", "HTTP/2 404"),
    ("HTTP/1.1 500", "HTTP/2 500"),
    ("\"GET /x HTTP/1.1\" 500", "\"GET /x HTTP/1.1\" 404"),
    ("TLS 1.2 refused", "TLS 1.3 refused"),
    ("TLSv1.2 refused", "TLSv1.3 refused"),
    // PostgreSQL.
    ("FATAL: 28P01", "FATAL: 3D000"),
    ("pq: 57014 canceling", "pq: 53300 canceling"),
    ("ERROR: 23505: x", "ERROR: 40001: x"),
    ("ERROR: 42P01: x", "ERROR: 42703: x"),
    ("x (SQLSTATE 42P01)", "x (SQLSTATE 42P02)"),
    ("SQLSTATE[42P01]: x", "SQLSTATE[42703]: x"),
    // MySQL, Oracle, DB2.
    ("(1062, \"x\")", "(1213, \"x\")"),
    ("(2003, 'x')", "(2013, 'x')"),
    ("ERROR 1062 (23000): x", "ERROR 1213 (40001): x"),
    ("ORA-00942: x", "ORA-01017: x"),
    ("SQLCODE=-204, SQLSTATE=42704", "SQLCODE=-803, SQLSTATE=23505"),
    // Kubernetes.
    ("command ended with exit code 137", "command ended with exit code 2"),
    ("process exited with 137", "process exited with 1"),
    ("killed by signal 9", "killed by signal 11"),
    ("image pull failed: 401", "image pull failed: 503"),
    ("x509: certificate has expired", "x509: certificate signed by unknown authority"),
    // Clouds.
    ("An error occurred (403) when calling x", "An error occurred (404) when calling x"),
    ("An error occurred (Throttling) when calling x", "An error occurred (AccessDenied) when calling x"),
    ("(Status Code: 400; Error Code: X)", "(Status Code: 503; Error Code: X)"),
    ("<HttpError 429 when requesting y>", "<HttpError 503 when requesting y>"),
    ("AADSTS50011 x", "AADSTS70011 x"),
    ("AADSTS700016: x", "AADSTS500113: x"),
    ("error code 100001", "error code 100002"),
    ("Error 21211: x", "Error 21614: x"),
    // Models.
    ("Error code: 429 - x", "Error code: 529 - x"),
    (
        "anthropic.APIStatusError: 529 {\"type\":\"error\"}",
        "anthropic.APIStatusError: 429 {\"type\":\"error\"}",
    ),
    ("The model `gpt-4` does not exist", "The model `gpt-5` does not exist"),
    ("gpt-4o is down", "gpt-4 is down"),
    ("gpt-4o-mini is down", "gpt-4o is down"),
    ("gpt-4-0613 is down", "gpt-4-1106 is down"),
    ("o1 is down", "o3 is down"),
    ("claude-3-5-sonnet-20241022 is down", "claude-3-opus-20240229 is down"),
    ("claude-3-5-haiku is down", "claude-3-7-haiku is down"),
    ("claude-sonnet-4 is down", "claude-sonnet-3 is down"),
    ("llama-3-8b is down", "llama-3-70b is down"),
    ("llama3.1-70b is down", "llama3.2-70b is down"),
    ("gemini-1.5-pro is down", "gemini-2.0-pro is down"),
    // The application's own codes in capitals, where codes stand.
    ("PAY1001: card refused", "PAY1002: card refused"),
    ("[AUTH-4001] no session", "[AUTH-4002] no session"),
    ("agent failed: PAY1001: card refused", "agent failed: PAY1002: card refused"),
    ("card refused (code PAY1001)", "card refused (code PAY1002)"),
    ("2026-11-22 10:11:36+00 PAY1001 refused", "2026-11-22 10:11:36+00 PAY1002 refused"),
    ("step 1 of 5: E1001 at work", "step 1 of 5: E1002 at work"),
    ("P1001: no database", "P2002: no database"),
];

#[test]
fn pairs_of_real_shapes_are_one_error_or_two() {
    assert!(SAME.len() + OTHER.len() >= 150, "{} and {}", SAME.len(), OTHER.len());
    let mut wrong = Vec::new();
    for (is_same, pairs) in [(true, SAME), (false, OTHER)] {
        for (one, two) in pairs {
            let (first, second) = (template(one), template(two));
            if (first == second) != is_same {
                wrong.push(format!("{one} / {two}: {first} / {second}"));
            }
            for read in [&first, &second] {
                if template(read) != **read {
                    wrong.push(format!("{read} becomes {}", template(read)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whatever follows an amount, and however it is written.
#[test]
fn units_of_time_and_size_do_not_count() {
    let written = [
        "5s",
        "5 s",
        "1.998s",
        "820ms",
        "6m0s",
        "1m",
        "1h30m",
        "1 hour",
        "30 seconds",
        "1 second",
        "2 days",
        "1.5GiB",
        "512 MB",
        "4KB",
        "3 bytes",
    ];
    for amount in written {
        assert_eq!(
            template(&format!("gave up after {amount}, as told")),
            "gave up after <n>, as told",
            "{amount}"
        );
        assert_eq!(template(&format!("gave up after {amount}")), "gave up after <n>", "{amount}");
    }
}

/// Zones as they are written behind a time of day.
#[test]
fn zones_belong_to_their_time() {
    for zone in ["", "Z", " Z", "+00", "-03", "+0530", "+05:30", " +0000", " +02:00", " UTC", " CET"] {
        let text = format!("canceled at 2026-11-22 10:11:36.123456{zone} by hand");
        assert_eq!(template(&text), "canceled at <timestamp> by hand", "{zone}");
    }
}
