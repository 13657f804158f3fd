//! Large keys: a sample that goes on from check to check, so that in time every key is looked at.

use futures_util::future::join_all;
use wise_core::{Failure, Labels, Report};
use wise_database::shorten;

use crate::driver::Session;
use crate::error::optional;
use crate::metrics::storage as metric;

/// Keys asked for at once.
const BATCH: usize = 100;
/// Largest keys remembered.
const LARGEST: usize = 10;
/// Most characters of a key's name.
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
            cursor.text().unwrap_or("0").clone_into(&mut self.cursor);
            let names: Vec<&str> = keys.list().iter().filter_map(|key| key.text()).collect();
            let asked =
                join_all(names.iter().map(|name| async move {
                    session.ask(&["MEMORY", "USAGE", name, "SAMPLES", "5"]).await
                }));
            for (name, answer) in names.iter().zip(asked.await) {
                match optional(answer, "memory|usage")? {
                    // A key may be gone by now.
                    Ok(size) => self.note(name, size.number()),
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
        let at = self.largest.partition_point(|(_, known)| *known >= size);
        if at < LARGEST {
            self.largest.insert(at, (shorten(name, SHOWN), size));
            self.largest.truncate(LARGEST);
        }
    }
}
