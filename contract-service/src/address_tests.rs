use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn special_addresses_are_not_global() {
    let inside = [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2001::1",
        "2001:20::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
    ];
    for text in inside {
        assert!(!is_global(text.parse().unwrap()), "{text}");
    }
    let outside = [
        "8.8.8.8",
        "172.32.0.1",
        "100.128.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860::8888",
        "3fff:1000::1",
        "::ffff:8.8.8.8",
    ];
    for text in outside {
        assert!(is_global(text.parse().unwrap()), "{text}");
    }
}

/// Forms in which one tries to lead the service inside, or elsewhere than it seems.
const FORMS: [&str; 48] = [
    "http://hooks.example/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "data:text/plain,x",
    "ws://hooks.example/",
    "//hooks.example/",
    "hooks.example",
    "https://",
    "https://[::1",
    "",
    "https://user@hooks.example/",
    "https://user:secret@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://127.0.0.1\\@hooks.example/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://%31%32%37.0.0.1/",
    "https://１２７.０.０.１/",
    "https://127。0。0。1/",
    "https:\\\\127.0.0.1\\",
    "https:/127.0.0.1/",
    "ht\ttps://127.0.0.1/",
    "https://10.0.0.1/",
    "https://192.168.0.1:443/",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1%25eth0]/",
    "https://[0:0:0:0:0:0:0:1]/",
];

#[test]
fn urls_that_lead_inside_are_refused_in_every_form() {
    let open = Reach { loopback: false };
    let mut seen = std::collections::BTreeSet::new();
    for url in FORMS {
        assert!(seen.insert(url), "{url:?} stands twice");
        assert_eq!(open.check_hook(url, &[443]).err().map(|e| e.code), Some(Code::AddressRefused), "{url:?}");
    }
    for url in ["https://hooks.example/x?y=z", "https://8.8.8.8/", "https://[2606:4700::1111]/"] {
        assert!(open.check_hook(url, &[443]).is_ok(), "{url}");
    }
}

#[test]
fn ports_and_fragments_of_hooks() {
    let (open, demo) = (Reach { loopback: false }, Reach { loopback: true });
    for url in [
        "https://hooks.example:22/",
        "https://hooks.example:6379/",
        "https://hooks.example:80/",
        "https://8.8.8.8:8080/",
    ] {
        for reach in [open, demo] {
            assert_eq!(reach.check_hook(url, &[443, 8443]).unwrap_err().code, Code::AddressRefused, "{url}");
        }
    }
    assert_eq!(open.check_hook("https://hooks.example/#x", &[443]).unwrap_err().code, Code::AddressRefused);
    assert!(open.check_hook("https://hooks.example:8443/", &[443, 8443]).is_ok());
    assert!(demo.check_hook("http://127.0.0.1:9/", &[]).is_ok() && demo.check_hook("http://localhost:9/", &[]).is_ok());
    assert!(demo.check("http://10.0.0.1/").is_err() && demo.check("https://10.0.0.1/").is_err());
}

/// A server that counts who connects.
fn canary() -> (u16, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, calls) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&calls);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, calls)
}

#[test]
fn a_name_that_leads_inside_is_refused_when_connecting() {
    let (port, calls) = canary();
    let (production, patience) = (Reach { loopback: false }, Duration::from_secs(2));
    let url = format!("https://localhost:{port}/");
    let error = production.client(patience).unwrap().get(&url).send().unwrap_err();
    assert!(was_refused(&error), "{error:?}");
    // And as webhooks are delivered.
    let many = production.many(patience, None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async { many.get(&url).send().await }).unwrap_err();
    assert!(was_refused(&error), "{error:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

/// The name leads to a public address when it is looked at, and to this machine when it is called.
#[test]
fn a_name_that_is_bound_anew_leads_nowhere() {
    let (port, calls) = canary();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let rebinding: Lookup = Arc::new(move |_| {
        let public = counted.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![if public { ([8, 8, 8, 8], 0).into() } else { ([127, 0, 0, 1], 0).into() }])
    });
    let guard = Arc::new(Guard { reach: Reach { loopback: false }, lookup: rebinding });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = guard.resolve("hooks.example".parse().unwrap()).await;
        assert_eq!(first.ok().unwrap().next().unwrap().ip().to_string(), "8.8.8.8");
        let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::clone(&guard)).build().unwrap();
        let error = client.get(format!("https://hooks.example:{port}/")).send().await.unwrap_err();
        assert!(was_refused(&error), "{error:?}");
    });
    assert_eq!((asked.load(Ordering::SeqCst), calls.load(Ordering::SeqCst)), (2, 0));
}

/// Of several addresses of one name only those outside are called.
#[test]
fn a_name_with_addresses_of_both_kinds_leads_outside_only() {
    let both: Lookup =
        Arc::new(|_| Ok(vec![([127, 0, 0, 1], 0).into(), ([8, 8, 8, 8], 0).into(), ([10, 0, 0, 1], 0).into()]));
    let guard = Guard { reach: Reach { loopback: false }, lookup: both };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(guard.resolve("hooks.example".parse().unwrap())).ok().unwrap();
    assert_eq!(found.map(|a| a.ip().to_string()).collect::<Vec<_>>(), ["8.8.8.8"]);
}
