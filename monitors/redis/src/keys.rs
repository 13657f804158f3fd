//! Large keys: a sample that goes on from check to check, so that in time every key is looked at.

use std::borrow::Cow;

use futures_util::future::join_all;
use wise_core::{Failure, Labels, Report, label};

use crate::driver::Session;
use crate::error::optional;
use crate::metrics::storage as metric;
use crate::resp::Reply;

/// Keys asked for at once.
const BATCH: usize = 100;
/// Largest keys remembered.
const LARGEST: usize = 10;
/// Most characters of a key's name; a digest follows where something was cut off.
const SHOWN: usize = 120;

/// Walks over the keys of the database.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// Where SCAN stands; empty at the start.
    cursor: String,
    /// Largest keys of this walk, the largest first.
    largest: Vec<(String, f64)>,
}

impl Sampler {
    /// Looks at about so many keys, and reports the largest seen in this walk.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn read(
        &mut self,
        session: &Session,
        sample: usize,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut looked_at = 0;
        // Pages of a sparse table may be empty.
        for _ in 0..=sample {
            if looked_at >= sample {
                break;
            }
            if self.cursor.is_empty() || self.cursor == "0" {
                self.cursor = "0".to_owned();
                self.largest.clear();
            }
            let count = BATCH.min(sample).to_string();
            let page = session.ask(&["SCAN", &self.cursor, "COUNT", &count]).await;
            let page = match optional(page, "scan")? {
                Ok(page) => page,
                Err(why) => {
                    report.push_absent(&metric::KEY_SIZE, &Labels::default(), why);
                    return Ok(());
                }
            };
            let [cursor, keys] = page.list() else { break };
            self.cursor = cursor.text().map_or_else(|| "0".to_owned(), Cow::into_owned);
            let names: Vec<&Reply> = keys.list().iter().filter(|key| key.bytes().is_some()).collect();
            let asked = join_all(names.iter().map(|name| async move {
                let name = name.bytes().unwrap_or_default();
                session.ask_about("MEMORY", &[b"USAGE", name, b"SAMPLES", b"5"]).await
            }));
            for (name, answer) in names.iter().zip(asked.await) {
                match optional(answer, "memory|usage")? {
                    // A key may be gone by now.
                    Ok(size) => self.note(&name.text().unwrap_or_default(), size.number()),
                    Err(why) => {
                        report.push_absent(&metric::KEY_SIZE, &Labels::default(), why);
                        return Ok(());
                    }
                }
            }
            looked_at += names.len();
            if self.cursor == "0" {
                break;
            }
        }
        report.push(&metric::KEYS_SAMPLED, looked_at as f64);
        for (name, size) in &self.largest {
            report.push_estimate(&metric::KEY_SIZE, &Labels::one("key", name.as_str()), *size);
        }
        Ok(())
    }

    fn note(&mut self, name: &str, size: Option<f64>) {
        let Some(size) = size else { return };
        let name = label::fit(name, SHOWN).into_owned();
        // SCAN may name a key more than once, and a key may have another size by now.
        self.largest.retain(|(known, _)| *known != name);
        let at = self.largest.partition_point(|(_, known)| *known >= size);
        if at < LARGEST {
            self.largest.insert(at, (name, size));
            self.largest.truncate(LARGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_again_is_listed_once_with_its_new_size() {
        let mut sampler = Sampler::default();
        let long = "x".repeat(200);
        let names = ["a", "b", "a", &format!("{long}1"), &format!("{long}2"), "gone"];
        for (name, size) in
            names.into_iter().zip([Some(5.0), Some(7.0), Some(9.0), Some(1.0), Some(2.0), None])
        {
            sampler.note(name, size);
        }
        let sizes: Vec<f64> = sampler.largest.iter().map(|(_, size)| *size).collect();
        assert_eq!(sizes, [9.0, 7.0, 2.0, 1.0]);
        let names: std::collections::BTreeSet<_> = sampler.largest.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 4);
    }
}
