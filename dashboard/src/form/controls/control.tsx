import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../../ui/icons.tsx';
import {
  type Draft,
  type Field,
  type GroupField,
  join,
  type ListField,
  type Path,
  type Property,
  type UnionField,
} from '../field.ts';
import { useField } from '../state.ts';
import { blank, blankProperties, isObject, shownValue } from '../values.ts';
import { MapControl } from './map.tsx';
import { SecretControl } from './secret.tsx';
import { controlProps, FieldShell, GroupShell } from './shell.tsx';
import {
  BooleanControl,
  ChoiceControl,
  type ControlProps,
  JsonControl,
  NumberControl,
  TextControl,
} from './simple.tsx';

/** The control for any field. */
export function Control({ field, ...rest }: ControlProps<Field>) {
  switch (field.type) {
    case 'text':
      return <TextControl field={field} {...rest} />;
    case 'number':
      return <NumberControl field={field} {...rest} />;
    case 'boolean':
      return <BooleanControl field={field} {...rest} />;
    case 'choice':
      return <ChoiceControl field={field} {...rest} />;
    case 'secret':
      return <SecretControl field={field} {...rest} />;
    case 'list':
      return <ListControl field={field} {...rest} />;
    case 'group':
      return <GroupControl field={field} {...rest} />;
    case 'map':
      return <MapControl field={field} {...rest} />;
    case 'union':
      return <UnionControl field={field} {...rest} />;
    case 'json':
      return <JsonControl field={field} {...rest} />;
  }
}

interface PropertiesProps {
  properties: readonly Property[];
  path: Path;
  value: Draft;
  onChange: (name: string, value: Draft) => void;
}

export function Properties({ properties, path, value, onChange }: PropertiesProps) {
  const held = isObject(value) ? value : {};
  return (
    <div class="fields">
      {properties.map(({ name, field, required }) => (
        <Control
          key={name}
          field={field}
          path={join(path, name)}
          value={held[name]}
          required={required}
          onChange={(changed) => onChange(name, changed)}
        />
      ))}
    </div>
  );
}

/** An object with one property set, or taken out when there is nothing to set. */
export function withProperty(value: Draft, name: string, changed: Draft): Draft {
  const next = { ...(isObject(value) ? value : {}) };
  if (changed === undefined) delete next[name];
  else next[name] = changed;
  return next;
}

function GroupControl({ field, path, value, required, onChange }: ControlProps<GroupField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  return (
    <GroupShell field={field} state={state} required={required}>
      <Properties
        properties={field.properties}
        path={path}
        value={shown}
        onChange={(name, changed) => onChange(withProperty(shown, name, changed))}
      />
    </GroupShell>
  );
}

function ListControl({ field, path, value, required, onChange }: ControlProps<ListField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  const items = Array.isArray(shown) ? shown : [];
  const list = useRef<HTMLOListElement>(null);
  const added = useRef(false);
  useEffect(() => {
    if (added.current)
      list.current?.lastElementChild?.querySelector<HTMLElement>('input, select, textarea')?.focus();
    added.current = false;
  }, [items.length]);
  const simple = field.item.type === 'text' || field.item.type === 'number' || field.item.type === 'choice';
  return (
    <GroupShell field={field} state={state} required={required}>
      {items.length > 0 && (
        <ol ref={list} class={simple ? 'list list-simple' : 'list'}>
          {items.map((item, index) => (
            // The items have no identity of their own, and their number is their path.
            <li key={`${items.length}/${index}`}>
              <Control
                field={{ ...field.item, title: `${field.item.title} ${index + 1}` }}
                path={join(path, index)}
                value={item}
                required={false}
                onChange={(changed) => onChange(items.with(index, changed ?? null))}
              />
              <button
                type="button"
                class="button button-small button-icon list-remove"
                aria-label={`Remove ${field.item.title} ${index + 1}`}
                onClick={() => onChange(items.toSpliced(index, 1))}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ol>
      )}
      <button
        type="button"
        class="button button-small"
        onClick={() => {
          added.current = true;
          onChange([...items, blank(field.item)]);
        }}
      >
        <Icon name="plus" />
        Add<span class="sr-only"> to {field.title}</span>
      </button>
    </GroupShell>
  );
}

const NONE = '';

function UnionControl({ field, path, value, required, onChange }: ControlProps<UnionField>) {
  const state = useField(path);
  const shown = shownValue(field, value);
  const held = isObject(shown) ? shown : {};
  const variant = field.variants.find(({ tag }) => tag === held[field.tag]);
  const choose = (tag: string) => {
    const next = field.variants.find((candidate) => candidate.tag === tag);
    onChange(next ? { [field.tag]: next.tag, ...blankProperties(next.properties) } : null);
  };
  const described = {
    title: field.title,
    description: [field.description, variant?.description].filter(Boolean).join(' ') || null,
  };
  return (
    <div class="union field-wide">
      <FieldShell field={described} state={state} required={required}>
        <select
          {...controlProps(described, state, required)}
          value={variant?.tag ?? NONE}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          {(field.nullable || !variant) && <option value={NONE}>{field.nullable ? 'None' : 'Choose'}</option>}
          {field.variants.map(({ tag, title }) => (
            <option key={tag} value={tag}>
              {title}
            </option>
          ))}
        </select>
      </FieldShell>
      {variant && (
        <Properties
          properties={variant.properties}
          path={path}
          value={held}
          onChange={(name, changed) => onChange(withProperty(held, name, changed))}
        />
      )}
    </div>
  );
}
