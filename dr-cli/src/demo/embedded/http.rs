//! The web server of an embedded host: the files below `/var/www/<name in the Host header>/`, and nothing else.

use std::{convert::Infallible, io, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use tokio::{fs::File, io::AsyncReadExt, net::TcpListener, sync::watch, task::JoinSet};

use super::confine::Root;

type Answer = Response<BoxBody<Bytes, io::Error>>;

const CHUNK_BYTES: usize = 64 * 1024;

/// Content types by extension, lower case; everything else is bytes.
const TYPES: [(&str, &str); 22] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/x-icon"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("pdf", "application/pdf"),
    ("mp4", "video/mp4"),
    ("wasm", "application/wasm"),
];

/// Serves on `listener` until `stop` changes or its sender is gone. `host` is named in the `Server` header.
pub(super) async fn serve(
    listener: TcpListener,
    root: Arc<Root>,
    host: String,
    mut stop: watch::Receiver<bool>,
) {
    let server = HeaderValue::from_str(&format!("dr-demo/{host}"));
    let site = Arc::new(Site { root, server: server.unwrap_or(HeaderValue::from_static("dr-demo")) });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let site = site.clone();
                    let service = service_fn(move |request| answer(site.clone(), request));
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(30))
                        .serve_connection(TokioIo::new(stream), service);
                    connections.spawn(connection);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    // What is under way ends here, as it does when a host dies.
    connections.shutdown().await;
}

struct Site {
    root: Arc<Root>,
    server: HeaderValue,
}

async fn answer<B: Body>(site: Arc<Site>, request: Request<B>) -> Result<Answer, Infallible> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut answer = match *request.method() {
        Method::GET | Method::HEAD => file(&site.root, host, request.uri().path()).await,
        _ => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "this server only gives\n");
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
    };
    answer.headers_mut().insert(header::SERVER, site.server.clone());
    // hyper drops the body of an answer to HEAD and keeps its length.
    Ok(answer)
}

async fn file(root: &Arc<Root>, host: &str, path: &str) -> Answer {
    let Some(host) = virtual_host(host) else {
        return text(StatusCode::BAD_REQUEST, "the Host header names no site\n");
    };
    let Some(path) = decode(path) else { return text(StatusCode::BAD_REQUEST, "the path makes no sense\n") };
    let (root, wanted) = (root.clone(), path.clone());
    let found = tokio::task::spawn_blocking(move || find(&root, &host, &wanted)).await;
    match found {
        Ok(Ok(Found::File { file, size, name })) => {
            let body = StreamBody::new(chunks(File::from_std(file)));
            let mut answer = Response::new(BodyExt::boxed(body));
            answer.headers_mut().insert(header::CONTENT_LENGTH, size.into());
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&name)));
            answer
        }
        Ok(Ok(Found::Directory)) => moved(&path),
        Ok(Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)) => {
            text(StatusCode::NOT_FOUND, "there is no such page here\n")
        }
        Ok(Err(Errno::ACCESS | Errno::PERM)) => text(StatusCode::FORBIDDEN, "this page is not for you\n"),
        Ok(Err(_)) | Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be read\n"),
    }
}

enum Found {
    File {
        file: std::fs::File,
        size: u64,
        name: Vec<u8>,
    },
    /// Asked for without the slash at the end.
    Directory,
}

/// The file that `path` means on the site `host`: for a directory its `index.html`.
fn find(root: &Root, host: &str, path: &[u8]) -> Result<Found, Errno> {
    let mut name = [b"/var/www/", host.as_bytes(), path].concat();
    let is_directory = path.ends_with(b"/");
    if is_directory {
        name.extend(b"index.html");
    }
    let file = std::fs::File::from(root.open_at(&name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?);
    let metadata = file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    match metadata.is_dir() {
        true if is_directory => Err(Errno::NOENT),
        true => Ok(Found::Directory),
        false if metadata.is_file() => Ok(Found::File { file, size: metadata.len(), name }),
        // A device or a FIFO.
        false => Err(Errno::NOENT),
    }
}

fn chunks(file: File) -> Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync>> {
    Box::pin(stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = file.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok((count > 0).then(|| (Frame::data(Bytes::from(chunk)), file)))
    }))
}

/// The site a Host header names: without the port, lower case, and nothing but a host name.
fn virtual_host(header: &str) -> Option<String> {
    let name =
        header.rsplit_once(':').map_or(header, |(name, _)| name).trim_end_matches('.').to_ascii_lowercase();
    let is_name = name.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    is_name.then_some(name)
}

/// The bytes that a path in a request means. `None`: a bad escape, a NUL, no slash in front, or a `..`, which
/// would lead from one site to another.
fn decode(path: &str) -> Option<Vec<u8>> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()?.first().copied()?
            }
            byte => byte,
        });
    }
    let up = decoded.split(|&byte| byte == b'/').any(|name| name == b"..");
    (decoded.starts_with(b"/") && !decoded.contains(&0) && !up).then_some(decoded)
}

fn content_type(name: &[u8]) -> &'static str {
    let extension = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default().to_ascii_lowercase();
    let known = TYPES.iter().find(|(known, _)| known.as_bytes() == extension);
    known.map_or("application/octet-stream", |(_, kind)| kind)
}

fn moved(path: &[u8]) -> Answer {
    let mut answer = text(StatusCode::MOVED_PERMANENTLY, "this is a directory: with a slash at the end\n");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    // Two slashes in front would name another server.
    let path = path.iter().skip_while(|&&byte| byte == b'/');
    let escaped: String = path
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if let Ok(location) = HeaderValue::from_str(&format!("/{escaped}/")) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {});
    let mut answer = Response::new(BodyExt::boxed(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_nothing_else() {
        for (header, expected) in [
            ("www.Example.org", Some("www.example.org")),
            ("example.org:8080", Some("example.org")),
            ("example.org.", Some("example.org")),
            ("127.0.0.2:80", Some("127.0.0.2")),
            ("", None),
            ("..", None),
            ("../../etc", None),
            ("a/b", None),
            ("a..b", None),
            ("[::1]:80", None),
        ] {
            assert_eq!(virtual_host(header).as_deref(), expected, "{header:?}");
        }
    }

    #[test]
    fn paths_are_decoded_once_and_never_lead_up() {
        for (path, expected) in [
            ("/a%20b/%c3%A9", Some("/a b/é")),
            ("/a%252fb", Some("/a%2fb")),
            ("/a/..b", Some("/a/..b")),
            ("/../x", None),
            ("/%2e%2e/x", None),
            ("/a%2f..%2fb", None),
            ("/a%00", None),
            ("/a%4", None),
            ("/a%zz", None),
            ("*", None),
        ] {
            assert_eq!(decode(path), expected.map(|path| path.as_bytes().to_vec()), "{path}");
        }
    }

    #[test]
    fn types_come_from_the_last_extension() {
        assert_eq!(content_type(b"/a.b/index.HTML"), "text/html; charset=utf-8");
        assert_eq!(content_type(b"/a.tar.gz"), "application/octet-stream");
        assert_eq!(content_type(b"/png"), "application/octet-stream");
    }

    #[test]
    fn a_redirect_stays_on_the_server() {
        let answer = moved(b"//elsewhere.example/a b");
        assert_eq!(answer.headers()[header::LOCATION], "/elsewhere.example/a%20b/");
    }
}
