//! One check: exchanges along the redirects, then the judgement.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use http::header::LOCATION;
use rustls_pki_types::CertificateDer;
use tokio::time::Instant;
use url::Url;
use wise_core::{CheckContext, Failure, Fault, Probe, Report, Timestamp, common};
use wise_net::Certificate;

use crate::assertion::Verdict;
use crate::error;
use crate::evidence;
use crate::exchange::{self, Exchange};
use crate::metrics;
use crate::target::Website;

/// A hop before the last exchange.
#[derive(Debug)]
pub(crate) struct Hop {
    pub url: String,
    pub status: u16,
    pub location: String,
}

/// Everything known about a check.
#[derive(Debug)]
pub(crate) struct Course {
    pub hops: Vec<Hop>,
    pub url: Url,
    pub method: Method,
    pub last: Exchange,
    /// Phases of the earlier exchanges: dns, connect, tls, first byte, transfer.
    earlier: [Duration; 5],
    pub verdicts: Vec<(usize, Verdict)>,
    pub local: bool,
    /// Earliest end of any certificate shown.
    expires: Option<Timestamp>,
}

/// The probe. Keeps the certificates it has read, since they rarely change and take longer to read than the rest.
#[derive(Debug)]
pub(crate) struct AvailabilityProbe {
    site: Arc<Website>,
    chains: Vec<(Vec<CertificateDer<'static>>, Arc<[Certificate]>)>,
    facts: Vec<(&'static str, String)>,
}

/// Chains kept: one for each host along the redirects.
const CHAINS: usize = 4;

impl AvailabilityProbe {
    pub(crate) fn new(site: Arc<Website>) -> Self {
        Self { site, chains: Vec::new(), facts: Vec::new() }
    }

    fn chain(&mut self, shown: &[CertificateDer<'static>]) -> Arc<[Certificate]> {
        if let Some((_, known)) = self.chains.iter().find(|(der, _)| der == shown) {
            return known.clone();
        }
        let parsed: Arc<[Certificate]> = shown.iter().filter_map(Certificate::parse).collect();
        if self.chains.len() >= CHAINS {
            self.chains.remove(0);
        }
        self.chains.push((shown.to_vec(), parsed.clone()));
        parsed
    }

    /// Follows the redirects up to an answer that is to be judged.
    async fn follow(&mut self, course: &mut Course) -> Result<(), Failure> {
        let site = self.site.clone();
        let mut with_body = true;
        loop {
            exchange::run(&site, &course.url, &course.method, with_body, &mut course.last).await?;
            course.local &= course.last.trace.is_local();
            self.note_expiry(course);
            let Some(limit) = site.max_redirects else { return Ok(()) };
            let Some(next) = redirect(&course.url, &course.last)? else { return Ok(()) };
            let (status, location) = next;
            course.hops.push(Hop { url: shown_url(&course.url), status, location: shown_url(&location) });
            if course.hops.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
                let circle = course.hops.iter().any(|hop| hop.url == shown_url(&location));
                let what = if circle { "they form a circle" } else { "the chain is too long" };
                return Err(Failure::new(
                    &error::TOO_MANY_REDIRECTS,
                    format!("more than {limit} redirects: {what}"),
                )
                .code(if circle { "circle" } else { "limit" }));
            }
            // RFC 9110, section 15.4: 303 always becomes GET, and browsers do the same for POST with 301 and 302.
            if status == 303 && course.method != Method::HEAD
                || matches!(status, 301 | 302) && course.method == Method::POST
            {
                course.method = Method::GET;
                with_body = false;
            }
            let previous = std::mem::replace(&mut course.last, Exchange::new());
            for (sum, part) in course.earlier.iter_mut().zip(phases(&previous)) {
                *sum += part.unwrap_or_default();
            }
            course.url = location;
        }
    }

    fn note_expiry(&mut self, course: &mut Course) {
        if course.last.chain.is_empty() {
            return;
        }
        let chain = self.chain(&course.last.chain);
        let earliest = chain.iter().map(|certificate| certificate.not_after).min();
        course.expires = [course.expires, earliest].into_iter().flatten().min();
    }

    /// Compares the answer with what is expected.
    fn judge(&self, course: &mut Course) -> Result<(), Failure> {
        let Some(head) = &course.last.head else {
            return Err(Failure::new(&common::PROTOCOL, "there is no answer").code("http"));
        };
        let mut verdicts = Vec::with_capacity(self.site.checks.len());
        for (index, check) in self.site.checks.iter().enumerate() {
            verdicts.push((index, check.verdict(head.status, &head.headers, &mut course.last.body)));
        }
        let status = head.status;
        course.verdicts = verdicts;
        if !self.site.accept.iter().any(|range| range.contains(status)) {
            let accepted: Vec<String> = self.site.accept.iter().map(ToString::to_string).collect();
            let text = format!("the status code is {status}, accepted are {}", accepted.join(", "));
            return Err(Failure::new(&error::HTTP_STATUS, text).code(status.to_string()));
        }
        for (index, verdict) in &course.verdicts {
            if let Verdict::Fails(found) = verdict {
                let text = format!("assertion failed: {}; found {found}", self.site.checks[*index].text);
                return Err(Failure::new(&error::ASSERTION, self.site.masker.mask(&text).into_owned())
                    .code(format!("assertion_{index}")));
            }
        }
        if let Some((index, _)) = course.verdicts.iter().find(|(_, verdict)| *verdict == Verdict::Undecided) {
            let text = format!(
                "the body is longer than {} bytes, and the rest is needed to decide: {}",
                self.site.max_body, self.site.checks[*index].text
            );
            return Err(Failure::new(&error::BODY_TOO_LARGE, self.site.masker.mask(&text).into_owned())
                .code(format!("assertion_{index}")));
        }
        Ok(())
    }

    fn readings(&self, course: &Course, total: Duration, now: Timestamp, report: &mut Report) {
        // A phase that an earlier exchange had and the last one did not reach is no reading of this check.
        for (index, last) in phases(&course.last).into_iter().enumerate() {
            let metric =
                [&metrics::DNS, &metrics::CONNECT, &metrics::TLS, &metrics::FIRST_BYTE, &metrics::TRANSFER]
                    [index];
            if let Some(last) = last {
                report.push(metric, (course.earlier[index] + last).as_secs_f64());
            }
        }
        if let Some(head) = &course.last.head {
            if course.last.transfer.is_some() {
                report.push(&metrics::TOTAL, total.as_secs_f64());
                report.push(&metrics::BODY, course.last.body.bytes.len() as f64);
            }
            report.push(&metrics::STATUS, f64::from(head.status));
            report.push(&metrics::REDIRECTS, course.hops.len() as f64);
        }
        let expires =
            course.expires.or_else(|| course.last.trace.certificates.iter().map(|c| c.not_after).min());
        if let Some(expires) = expires {
            let days = (expires.as_seconds_f64() - now.as_seconds_f64()) / 86_400.0;
            report.push(&metrics::CERTIFICATE, days);
        }
    }

    /// Facts that differ from the last check's.
    fn changed_facts(&mut self, course: &Course, report: &mut Report) {
        let mut facts = Vec::with_capacity(4);
        if let Some(address) = course.last.trace.address {
            facts.push(("website.address", address.to_string()));
        }
        if let Some(head) = &course.last.head {
            facts.push(("website.http_version", format!("{:?}", head.version)));
        }
        if let Some((version, _)) = course.last.trace.tls_session {
            facts.push(("website.tls_version", version.to_owned()));
        }
        if let Some((_, chain)) = self.chains.iter().find(|(der, _)| *der == course.last.chain)
            && let Some(leaf) = chain.first()
        {
            facts.push((
                "website.certificate",
                format!("{} by {}, until {}", leaf.subject, leaf.issuer, leaf.not_after),
            ));
        }
        if facts != self.facts {
            report.facts.extend(facts.iter().filter(|fact| !self.facts.contains(fact)).cloned());
            self.facts = facts;
        }
    }
}

#[async_trait]
impl Probe for AvailabilityProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let started = Instant::now();
        let mut course = Course {
            hops: Vec::new(),
            url: self.site.url.clone(),
            method: self.site.method.clone(),
            last: Exchange::new(),
            earlier: [Duration::ZERO; 5],
            verdicts: Vec::new(),
            local: true,
            expires: None,
        };
        let outcome = match tokio::time::timeout(cx.timeout, self.follow(&mut course)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(course.last.deadline_missed(cx.timeout)),
        };
        let total = started.elapsed();
        let outcome = outcome.and_then(|()| self.judge(&mut course));
        let mut report = Report { local: course.local && course.last.trace.is_local(), ..Report::default() };
        self.readings(&course, total, cx.now, &mut report);
        self.changed_facts(&course, &mut report);
        if outcome.is_err() || cx.detailed {
            let chain = (!course.last.chain.is_empty()).then(|| self.chain(&course.last.chain));
            report.evidence = Some(evidence::write(&self.site, &course, chain.as_deref(), total));
        }
        report.failure = match (outcome, self.site.inverted) {
            (Ok(()), false) => None,
            (Err(failure), true) if failure.class.fault == Fault::Target => None,
            (Err(failure), _) => Some(failure),
            (Ok(()), true) => Some(
                Failure::new(
                    &error::ASSERTION,
                    "the check passes, and this monitor is inverted: it should fail",
                )
                .code("inverted"),
            ),
        };
        if self.site.inverted && report.failure.is_some() && report.evidence.is_none() {
            report.evidence = Some(evidence::write(&self.site, &course, None, total));
        }
        report
    }
}

pub(crate) fn phases(exchange: &Exchange) -> [Option<Duration>; 5] {
    let trace = &exchange.trace;
    [trace.dns, trace.connect, trace.tls, exchange.first_byte, exchange.transfer]
}

/// Where the answer redirects to, if it does.
fn redirect(from: &Url, exchange: &Exchange) -> Result<Option<(u16, Url)>, Failure> {
    let Some(head) = &exchange.head else { return Ok(None) };
    if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    // Without a Location there is nowhere to go: the answer is judged as it is.
    let Some(location) = head.headers.get(LOCATION) else { return Ok(None) };
    let text = String::from_utf8_lossy(location.as_bytes());
    let next = from.join(&text).map_err(|error| {
        Failure::new(&common::PROTOCOL, format!("the redirect leads to no URL: {error}")).code("redirect")
    })?;
    if !matches!(next.scheme(), "http" | "https") || next.host_str().is_none_or(str::is_empty) {
        let text = format!("the redirect leads to {}, which is not http or https", next.scheme());
        return Err(Failure::new(&common::PROTOCOL, text).code("redirect"));
    }
    Ok(Some((head.status, next)))
}

/// The URL without its password.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() && url.set_password(Some(wise_core::MASK)).is_err() {
        return format!("{}://…", url.scheme());
    }
    url.to_string()
}
