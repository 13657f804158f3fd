//! The dashboard, built from `dashboard/` and embedded: compressed, hashed, with no dependency at run time.

/// A file of the dashboard.
#[derive(Debug)]
pub struct Asset {
    /// Path below the root, without a leading slash.
    pub path: &'static str,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Strong ETag without quotes: the first 16 hexadecimal digits of the content's SHA-256.
    pub etag: &'static str,
    /// The name carries a hash of the content, so that it may be cached for ever.
    pub immutable: bool,
    /// As it is.
    pub plain: &'static [u8],
    /// Compressed with Brotli, when that is smaller.
    pub brotli: Option<&'static [u8]>,
    /// Compressed with gzip, when that is smaller.
    pub gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file of that path.
pub fn get(path: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok().map(|index| &ASSETS[index])
}

/// Whether the dashboard was left out of this build.
pub fn is_placeholder() -> bool {
    ASSETS.len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_the_table_is_sorted() {
        let page = get("index.html").unwrap();
        assert!(page.content_type.starts_with("text/html") && !page.immutable && page.etag.len() == 16);
        assert!(ASSETS.is_sorted_by_key(|asset| asset.path));
        assert!(get("no/such/file").is_none());
        for asset in ASSETS {
            assert!(!asset.path.ends_with(".br") && !asset.path.ends_with(".map"), "{}", asset.path);
        }
    }
}
