import type { ComponentChildren } from 'preact';
import type { Json, Monitor } from '../../api/types.ts';
import { href } from '../../base.ts';
import { views } from '../../live/store.ts';
import type { View } from '../../live/view.ts';
import { paths } from '../../router/router.ts';
import { statusWord } from '../../status/status.ts';
import { At } from '../../time/time.tsx';
import { StatusIcon } from '../../ui/status-icon.tsx';
import { titleOf } from '../../units/words.ts';

/** What it needs, what needs it, and what of that is in trouble. */
export function Dependencies({ monitor }: { monitor: Monitor }) {
  const all = [...views.value.values()];
  const find = (reference: string) =>
    all.find(({ item }) => item.id === reference || item.name === reference);
  const dependants = all.filter(({ item }) =>
    item.depends_on.some((it) => it === monitor.id || it === monitor.name),
  );
  if (monitor.depends_on.length === 0 && dependants.length === 0 && monitor.affected_by.length === 0)
    return null;
  return (
    <section class="card section" aria-labelledby="dependencies">
      <h2 id="dependencies">Dependencies</h2>
      {monitor.affected_by.length > 0 && (
        <p class="tone-bad">
          Affected by {monitor.affected_by.map((it) => find(it)?.item.name ?? it).join(', ')}
        </p>
      )}
      <Related title="Depends on" references={monitor.depends_on} find={find} />
      <Related title="Needed by" references={dependants.map(({ item }) => item.id)} find={find} />
    </section>
  );
}

interface RelatedProps {
  title: string;
  references: readonly string[];
  find: (reference: string) => View | undefined;
}

function Related({ title, references, find }: RelatedProps) {
  if (references.length === 0) return null;
  return (
    <>
      <h3 class="section-sub">{title}</h3>
      <ul class="related">
        {references.map((reference) => {
          const view = find(reference);
          return (
            <li key={reference}>
              {view ? (
                <>
                  <StatusIcon status={view.status} />
                  <a href={href(paths.monitor(view.item.id))}>{view.item.name}</a>
                  <span class="dim">{statusWord(view.status, view.down)}</span>
                </>
              ) : (
                <span class="dim">{reference}</span>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}

/** The texts that checks have found out, and who keeps the definition. */
export function Facts({ monitor }: { monitor: Monitor }) {
  const facts = Object.entries(monitor.facts);
  const tags = Object.entries(monitor.tags);
  return (
    <section class="card section" aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <Fact key={name} name={factTitle(name, monitor.kind)}>
            {factText(value)}
          </Fact>
        ))}
        {tags.length > 0 && (
          <Fact name="Tags">
            {tags.map(([key, value]) => (
              <span key={key} class="tag">
                {key}: {value}
              </span>
            ))}
          </Fact>
        )}
        <Fact name="Created">
          <At time={monitor.created_at} /> {monitor.created_by && `by ${monitor.created_by}`}
        </Fact>
        {monitor.version > 1 && (
          <Fact name="Changed">
            <At time={monitor.updated_at} /> {monitor.updated_by && `by ${monitor.updated_by}`}
          </Fact>
        )}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** `website.tls_version` reads "TLS version" beside a website, whose kind need not be repeated. */
function factTitle(name: string, kind: string): string {
  return titleOf(name.startsWith(`${kind}.`) ? name.slice(kind.length + 1) : name);
}

function factText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
