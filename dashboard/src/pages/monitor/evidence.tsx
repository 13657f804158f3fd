import type { ComponentChildren } from 'preact';
import type { Json, JsonObject } from '../../api/types.ts';
import { serverNow } from '../../time/clock.ts';
import { absolute, relative } from '../../time/format.ts';
import { zone } from '../../time/zone.ts';
import { ScrollRegion } from '../../ui/scroll-region.tsx';
import { StatusIcon } from '../../ui/status-icon.tsx';
import { millisecondsText, valueText } from '../../units/format.ts';
import {
  type Assertion,
  assertionsOf,
  columnsOf,
  fieldText,
  fieldTitle,
  headersOf,
  isObject,
  objects,
  type Phase,
  phasesOf,
  restOf,
  text,
} from './evidence-model.ts';
import { JsonTree } from './json-tree.tsx';

/** What was written down about a check. Sections that are known get a form of their own, the rest is a tree. */
export function Evidence({ evidence }: { evidence: JsonObject }) {
  const phases = phasesOf(evidence['phases']);
  const assertions = assertionsOf(evidence['assertions']);
  const addresses = objects(evidence['addresses']);
  const redirects = objects(evidence['redirects']);
  const certificates = objects(evidence['certificates']);
  const { request, response } = evidence;
  const rest = restOf(evidence);
  return (
    <div class="evidence">
      {isObject(request) && <Request request={request} />}
      {assertions.length > 0 && (
        <Section title="Assertions">
          <Assertions assertions={assertions} />
        </Section>
      )}
      {addresses.length > 0 && (
        <Section title="Addresses tried">
          <Rows rows={addresses} caption="Addresses tried" />
        </Section>
      )}
      {phases.length > 0 && (
        <Section title="Phases" aside={stageText(evidence['stage'])}>
          <Phases phases={phases} />
        </Section>
      )}
      {redirects.length > 0 && (
        <Section title="Redirects">
          <Rows rows={redirects} caption="Redirects" />
        </Section>
      )}
      {isObject(response) && <Response response={response} />}
      {certificates.length > 0 && (
        <Section title="Certificates">
          {certificates.map((certificate, index) => (
            <Certificate key={text(certificate['sha256']) ?? index} certificate={certificate} />
          ))}
        </Section>
      )}
      {Object.keys(rest).length > 0 && (
        <Section title="More">
          <div class="json">
            {Object.entries(rest).map(([key, value]) => (
              <JsonTree key={key} name={key} value={value} />
            ))}
          </div>
        </Section>
      )}
    </div>
  );
}

function Section({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: string | null;
  children: ComponentChildren;
}) {
  return (
    <section class="evidence-section">
      <h3>
        {title}
        {aside && <span class="dim"> {aside}</span>}
      </h3>
      {children}
    </section>
  );
}

function stageText(stage: Json | undefined): string | null {
  const name = text(stage);
  return name && `reached ${name.replaceAll('_', ' ')}`;
}

function Request({ request }: { request: JsonObject }) {
  const headers = headersOf(request['headers']);
  return (
    <Section title="Request">
      <p class="mono wrap">
        <strong>{text(request['method']) ?? 'GET'}</strong> {text(request['url'])}
      </p>
      <Headers headers={headers} />
    </Section>
  );
}

function Response({ response }: { response: JsonObject }) {
  const headers = headersOf(response['headers']);
  const body = text(response['body']);
  const size = response['body_bytes'];
  return (
    <Section title="Response">
      <p class="mono wrap">
        <strong>{text(response['status'])}</strong> {text(response['version'])}
        {typeof size === 'number' && <span class="dim"> {valueText(size, 'bytes')}</span>}
      </p>
      <Headers headers={headers} />
      {body && (
        <details open>
          <summary>
            Body
            {response['truncated'] === true && <span class="dim">, only its beginning was read</span>}
          </summary>
          <ScrollRegion label="Body" class="body">
            <pre>{body}</pre>
          </ScrollRegion>
        </details>
      )}
    </Section>
  );
}

function Headers({ headers }: { headers: readonly [string, string][] }) {
  if (headers.length === 0) return null;
  return (
    <details>
      <summary>
        {headers.length} {headers.length === 1 ? 'header' : 'headers'}
      </summary>
      <dl class="headers">
        {headers.map(([name, value], index) => (
          <div key={`${name}${index}`}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Assertions({ assertions }: { assertions: readonly Assertion[] }) {
  return (
    <ul class="assertions">
      {assertions.map(({ text: wording, passed, found }) => (
        <li key={wording}>
          <StatusIcon status={passed === null ? 'unknown' : passed ? 'healthy' : 'unhealthy'} />
          <p>
            <span class="sr-only">{passed === null ? 'Undecided: ' : passed ? 'Passed: ' : 'Failed: '}</span>
            {wording}
            {found && !passed && <span class="found">found {found}</span>}
          </p>
        </li>
      ))}
    </ul>
  );
}

/** Each phase begins where the one before has ended, so that one sees where the time went. */
function Phases({ phases }: { phases: readonly Phase[] }) {
  const total = phases.reduce((sum, { milliseconds }) => sum + milliseconds, 0) || 1;
  let start = 0;
  return (
    <ol class="phases">
      {phases.map(({ key, milliseconds }, index) => {
        const left = (start / total) * 100;
        start += milliseconds;
        return (
          <li key={key}>
            <span>{fieldTitle(key)}</span>
            <span class="phase-track" aria-hidden="true">
              <span
                class={`phase-bar swatch-series-${(index % 6) + 1}`}
                style={{ marginLeft: `${left}%`, width: `${Math.max(0.5, (milliseconds / total) * 100)}%` }}
              />
            </span>
            <span class="number">{millisecondsText(milliseconds)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function Rows({ rows, caption }: { rows: readonly JsonObject[]; caption: string }) {
  const columns = columnsOf(rows);
  return (
    <ScrollRegion label={caption}>
      <table class="table">
        <caption class="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {fieldTitle(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={JSON.stringify(row) + index}>
              {columns.map((column) => (
                <td key={column} class="mono">
                  {fieldText(column, row[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}

const CERTIFICATE_KNOWN = new Set(['subject', 'issuer', 'names', 'not_before', 'not_after']);

function Certificate({ certificate }: { certificate: JsonObject }) {
  const from = text(certificate['not_before']);
  const to = text(certificate['not_after']);
  const names = Array.isArray(certificate['names']) ? certificate['names'].map(text) : [];
  return (
    <details>
      <summary>
        {text(certificate['subject'])}, <Expiry from={from} to={to} />
      </summary>
      <dl class="certificate">
        <div>
          <dt>Subject</dt>
          <dd>{text(certificate['subject'])}</dd>
        </div>
        <div>
          <dt>Issuer</dt>
          <dd>{text(certificate['issuer'])}</dd>
        </div>
        {names.length > 0 && (
          <div>
            <dt>Names</dt>
            <dd>{names.join(', ')}</dd>
          </div>
        )}
        <div>
          <dt>Valid</dt>
          <dd>
            {from && absolute(new Date(from), zone.value)} to {to && absolute(new Date(to), zone.value)}
          </dd>
        </div>
        {Object.entries(certificate)
          .filter(([key]) => !CERTIFICATE_KNOWN.has(key))
          .map(([key, value]) => (
            <div key={key}>
              <dt>{fieldTitle(key)}</dt>
              <dd class="mono">{fieldText(key, value)}</dd>
            </div>
          ))}
      </dl>
    </details>
  );
}

function Expiry({ from, to }: { from: string | null; to: string | null }) {
  if (!from || !to) return null;
  const now = new Date(serverNow());
  const end = new Date(to);
  const expired = end < now;
  const early = new Date(from) > now;
  return (
    <strong class={expired || early ? 'tone-bad' : undefined}>
      {early ? 'not valid yet' : `${expired ? 'expired' : 'expires'} ${relative(end, now)}`}
    </strong>
  );
}
