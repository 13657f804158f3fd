//! Which parts of a machine are watched, by name.

/// Includes before excludes.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Filter {
    pub(crate) fn new(include: &[String], exclude: &[String]) -> Self {
        Self { include: include.to_vec(), exclude: exclude.to_vec() }
    }

    /// Whether the part is watched. What is included by name is watched although it may be excluded too.
    pub(crate) fn allows(&self, name: &str) -> bool {
        if self.include.is_empty() {
            !self.exclude.iter().any(|pattern| fits(pattern, name))
        } else {
            self.include.iter().any(|pattern| fits(pattern, name))
        }
    }

    /// Whether the part is included by name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.include.iter().any(|pattern| fits(pattern, name))
    }
}

/// Whether a name fits a pattern in which `*` stands for any text. The time grows with the product of both lengths at
/// most.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where to go on when the text after the last `*` does not fit.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((after, tried)) => {
                    at = after + 1;
                    from = tried + 1;
                    star = Some((after, tried + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, wanted) in [
            ("sda", "sda", true),
            ("sda", "sda1", false),
            ("sd*", "sda", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("nvme*c*n*", "nvme0c1n1", true),
            ("nvme*c*n*", "nvme0n1", false),
            ("/run/*", "/run/", true),
            ("/run/*", "/run", false),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_included_by_name_is_watched() {
        let some = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&[], &some(&["lo", "veth*"]));
        assert!(filter.allows("eth0") && !filter.allows("lo") && !filter.allows("veth12"));
        let filter = Filter::new(&some(&["lo", "eth*"]), &some(&["lo"]));
        assert!(filter.allows("lo") && filter.allows("eth1") && !filter.allows("wlan0"));
    }
}
