import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api } from '../../api/client.ts';
import type { Plugin, ProbeReadings, Reading } from '../../api/types.ts';
import { location, setQuery } from '../../router/router.ts';
import { At } from '../../time/time.tsx';
import { ProblemBox } from '../../ui/problem.tsx';
import { useRequest } from '../../ui/request.ts';
import { ScrollRegion } from '../../ui/scroll-region.tsx';
import { titleOf } from '../../units/words.ts';
import { type PartTable, readingText, sorted } from './readings-model.ts';
import './readings.css';

/** What the last checks measured: numbers of the whole, and tables of its parts. */
export function Readings({
  id,
  fresh,
  plugin,
}: {
  id: string;
  fresh: string | null;
  plugin: Plugin | undefined;
}) {
  const readings = useRequest((signal) => api.readings(id, signal), [id]);
  const search = useSignal('');
  useEffect(() => {
    if (fresh !== null && !readings.loading.peek()) readings.reload();
  }, [fresh]);
  const probes = readings.data.value?.probes ?? [];
  if (readings.error.value) return <ProblemBox error={readings.error.value} onRetry={readings.reload} />;
  if (probes.length === 0) return null;
  return (
    <section class="card section readings" aria-labelledby="readings">
      <div class="section-head">
        <h2 id="readings">Readings</h2>
        <input
          type="search"
          class="readings-search"
          aria-label="Search the readings"
          placeholder="Search"
          value={search.value}
          onInput={(event) => {
            search.value = event.currentTarget.value;
          }}
        />
      </div>
      {probes.map((probe) => (
        <Probe key={probe.probe} probe={probe} plugin={plugin} search={search.value} />
      ))}
    </section>
  );
}

interface ProbeProps {
  probe: ProbeReadings;
  plugin: Plugin | undefined;
  search: string;
}

function Probe({ probe, plugin, search }: ProbeProps) {
  const { whole, tables } = sorted(probe, search);
  const title = plugin?.probes.find(({ name }) => name === probe.probe)?.title ?? titleOf(probe.probe);
  if (search !== '' && whole.length === 0 && tables.length === 0) return null;
  return (
    <div class="probe">
      <h3>
        {title}{' '}
        <span class="dim">
          <At time={probe.time} />
        </span>
      </h3>
      {probe.error_class && (
        <p>
          <code class="class-name">{probe.error_class}</code> {probe.message}
        </p>
      )}
      {whole.length > 0 && (
        <dl class="reading-list">
          {whole.map((reading) => (
            <div key={reading.metric}>
              <dt>
                <MetricName name={reading.metric} title={reading.title} />
              </dt>
              <dd>
                <Value reading={reading} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {tables.map((table) => (
        <Parts key={table.labels.join()} table={table} title={title} />
      ))}
      {whole.length === 0 && tables.length === 0 && !probe.error_class && (
        <p class="dim">It measured nothing.</p>
      )}
    </div>
  );
}

function Parts({ table, title }: { table: PartTable; title: string }) {
  const by = table.labels.map(titleOf).join(', ');
  return (
    <ScrollRegion label={`${title} by ${by}`}>
      <table class="table">
        <caption class="sr-only">
          {title} by {by}
        </caption>
        <thead>
          <tr>
            {table.labels.map((label) => (
              <th key={label} scope="col">
                {titleOf(label)}
              </th>
            ))}
            {table.metrics.map(({ name, title: metric }) => (
              <th key={name} scope="col" class="number">
                <MetricName name={name} title={metric} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row) => (
            <tr key={row.key}>
              {row.labels.map((label, index) => (
                <td key={table.labels[index]}>{label || <span class="dim">–</span>}</td>
              ))}
              {row.cells.map((reading, index) => (
                <td key={table.metrics[index]?.name} class="number">
                  {reading ? <Value reading={reading} /> : ''}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}

/** The title of a metric; pressed, it is drawn among the charts. */
function MetricName({ name, title }: { name: string; title: string }) {
  const asked = askedFor();
  const isShown = asked.includes(name);
  const toggle = () => {
    const next = isShown ? asked.filter((other) => other !== name) : [...asked, name];
    setQuery({ charts: next.length > 0 ? next.join(',') : null });
  };
  return (
    <button
      type="button"
      class="metric-name"
      aria-pressed={isShown}
      title={`${name}: draw it`}
      onClick={toggle}
    >
      {title}
    </button>
  );
}

/** The metrics that the address asks to be drawn. */
export function askedFor(): string[] {
  return (location.value.query.get('charts') ?? '').split(',').filter(Boolean);
}

function Value({ reading }: { reading: Reading }) {
  const text = readingText(reading);
  if (reading.value !== null) return <>{text}</>;
  return (
    <span class="dim" title={reading.hint ?? undefined}>
      {text}
      {reading.hint && <span class="sr-only">: {reading.hint}</span>}
    </span>
  );
}
