// Unit tests run without a browser: what modules of the page ask for as they load.
globalThis.location ??= new URL('http://localhost:8080/portal/');
