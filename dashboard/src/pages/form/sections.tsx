import type { ComponentChildren } from 'preact';
import type { JsonObject, Plugin } from '../../api/types.ts';
import { Properties } from '../../form/controls/control.tsx';
import { definitionProperties } from '../../form/definition.ts';
import type { Draft, Property } from '../../form/field.ts';
import { isObject, output } from '../../form/values.ts';
import { namedMetrics } from '../monitor/charts-model.ts';
import { Dependencies } from './dependencies.tsx';
import { Thresholds } from './thresholds.tsx';

interface Props {
  plugin: Plugin;
  plugins: readonly Plugin[];
  self: string | null;
  draft: JsonObject;
  onKind: (kind: string) => void;
  onChange: (name: string, value: Draft) => void;
  onSetting: (name: string, value: Draft) => void;
}

/** The form in sections: what matters is open, the rest is folded and says how much in it was changed. */
export function Sections({ plugin, plugins, self, draft, onKind, onChange, onSetting }: Props) {
  const { common, settings } = definitionProperties(plugin, draft);
  const held = isObject(draft['settings']) ? draft['settings'] : {};
  const lead = settings.properties.filter(({ section }) => section === null);
  const sections = sectionsOf(settings.properties);
  const commonIn = (section: string | null) => common.filter((property) => property.section === section);
  const dependencies = Array.isArray(draft['depends_on']) ? draft['depends_on'].length : 0;
  const thresholds = isObject(draft['thresholds']) ? Object.keys(draft['thresholds']).length : 0;
  return (
    <>
      <section class="card section" aria-labelledby="what">
        <h2 id="what">What to watch</h2>
        {self === null && plugins.length > 1 && (
          <Kinds plugins={plugins} chosen={plugin.kind} onKind={onKind} />
        )}
        <p class="field-help form-summary">{plugin.summary}</p>
        <Properties properties={lead} path="settings" value={held} onChange={onSetting} />
        <Properties properties={commonIn(null)} path="" value={draft} onChange={onChange} />
      </section>
      {sections.map(([title, properties]) => (
        <Folded key={title} title={title} changed={changes(properties, held)}>
          <Properties properties={properties} path="settings" value={held} onChange={onSetting} />
        </Folded>
      ))}
      <Folded title="Schedule" changed={changes(commonIn('Schedule'), draft)}>
        <Properties properties={commonIn('Schedule')} path="" value={draft} onChange={onChange} />
      </Folded>
      {commonIn('Probes').length > 0 && (
        <Folded title="Probes" changed={changes(commonIn('Probes'), draft)}>
          <Properties properties={commonIn('Probes')} path="" value={draft} onChange={onChange} />
        </Folded>
      )}
      {plugin.metrics.length > 0 && (
        <Folded title="Thresholds" changed={thresholds}>
          <Thresholds
            metrics={namedMetrics(plugin.metrics)}
            value={draft['thresholds']}
            onChange={(value) => onChange('thresholds', value)}
          />
        </Folded>
      )}
      <Folded
        title="Tags and dependencies"
        changed={changes(commonIn('Tags and dependencies'), draft) + dependencies}
      >
        <Properties
          properties={commonIn('Tags and dependencies')}
          path=""
          value={draft}
          onChange={onChange}
        />
        <Dependencies
          self={self}
          value={draft['depends_on']}
          onChange={(value) => onChange('depends_on', value)}
        />
      </Folded>
    </>
  );
}

function sectionsOf(properties: readonly Property[]): [title: string, properties: Property[]][] {
  const sections = new Map<string, Property[]>();
  for (const property of properties) {
    if (property.section === null) continue;
    const section = sections.get(property.section) ?? [];
    section.push(property);
    sections.set(property.section, section);
  }
  return [...sections];
}

/** How many fields of a section differ from their defaults. */
function changes(properties: readonly Property[], value: JsonObject): number {
  return properties.filter(({ name, field }) => output(field, value[name], false) !== undefined).length;
}

function Folded({
  title,
  changed,
  children,
}: {
  title: string;
  changed: number;
  children: ComponentChildren;
}) {
  return (
    <details class="card folded">
      <summary>
        <h2>{title}</h2>
        {changed > 0 && <span class="tag">{changed} set</span>}
      </summary>
      <div class="folded-body">{children}</div>
    </details>
  );
}

function Kinds({
  plugins,
  chosen,
  onKind,
}: {
  plugins: readonly Plugin[];
  chosen: string;
  onKind: (kind: string) => void;
}) {
  return (
    <fieldset class="kinds">
      <legend>Kind</legend>
      {plugins.map(({ kind, title }) => (
        <label key={kind} class="kind">
          <input type="radio" name="kind" checked={kind === chosen} onChange={() => onKind(kind)} />
          <span>{title}</span>
        </label>
      ))}
    </fieldset>
  );
}
