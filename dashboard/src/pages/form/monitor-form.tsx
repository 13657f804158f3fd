import { computed, useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { api } from '../../api/client.ts';
import { asApiError } from '../../api/problem.ts';
import type { CheckResult, JsonObject, Monitor, Plugin } from '../../api/types.ts';
import { href } from '../../base.ts';
import { nameFromAddress } from '../../form/address.ts';
import { withProperty } from '../../form/controls/control.tsx';
import { definitionProperties, toDefinition, toDraft } from '../../form/definition.ts';
import type { Draft } from '../../form/field.ts';
import { messagesOf, nearestField } from '../../form/problems.ts';
import { FormErrors, FormErrorsProvider, fieldId, focusField } from '../../form/state.ts';
import { thresholdErrors } from '../../form/thresholds.ts';
import { validate } from '../../form/validate.ts';
import { equal, isObject } from '../../form/values.ts';
import { guardLeaving, navigate, paths } from '../../router/router.ts';
import { ProblemBox } from '../../ui/problem.tsx';
import { toast } from '../../ui/toast.tsx';
import { CheckPanel } from './check-panel.tsx';
import { AskBeforeLeaving } from './leaving.tsx';
import { Sections } from './sections.tsx';

interface Props {
  /** The monitor to edit, null for a new one. */
  monitor: Monitor | null;
  plugins: readonly Plugin[];
  onReload: () => void;
}

export function MonitorForm({ monitor, plugins, onReload }: Props) {
  const kind = useSignal(monitor?.kind ?? preferred(plugins)?.kind ?? '');
  const start = useMemo<JsonObject>(() => (monitor ? toDraft(monitor) : { settings: {} }), []);
  const draft = useSignal<JsonObject>(start);
  const named = useSignal(monitor !== null);
  const problem = useSignal<unknown>(null);
  const saving = useSignal(false);
  const checking = useSignal(false);
  const result = useSignal<CheckResult | null>(null);
  const checkProblem = useSignal<unknown>(null);

  const errors = useMemo(
    () =>
      new FormErrors(
        computed(() => {
          const plugin = plugins.find((candidate) => candidate.kind === kind.value);
          if (!plugin) return new Map();
          const { common, settings } = definitionProperties(plugin, draft.value);
          return new Map([
            ...validate(common, draft.value, ''),
            ...validate(settings.properties, draft.value['settings'], 'settings'),
            ...thresholdErrors(draft.value['thresholds']),
          ]);
        }),
      ),
    [],
  );

  const plugin = plugins.find((candidate) => candidate.kind === kind.value);
  if (!plugin)
    return <ProblemBox error={new Error(`this server has no plugin for the kind ${kind.value}`)} />;
  const dirty = !equal(draft.value, start);

  const change = (path: string, name: string, value: Draft) => {
    errors.changed(path);
    problem.value = null;
    const next = withProperty(draft.value, name, value);
    draft.value = isObject(next) ? next : {};
  };
  const changeSetting = (name: string, value: Draft) => {
    const before = draft.value['settings'];
    change(`settings.${name}`, 'settings', withProperty(before, name, value));
    const field = plugin.schema.properties?.[name];
    if (!named.value && field?.format === 'uri' && typeof value === 'string') {
      draft.value = { ...draft.value, name: nameFromAddress(value) ?? '' };
    }
  };

  /** Shows what is wrong where it is wrong, and goes to the first. */
  const refuse = (cause: unknown) => {
    const messages = messagesOf(asApiError(cause).fields);
    const known = (path: string) => document.getElementById(fieldId(path)) !== null;
    const placed = new Map(
      [...messages].map(([path, message]) => [nearestField(path, known) ?? path, message]),
    );
    errors.refuse(placed);
    focusFirst(placed.keys());
  };
  const save = async () => {
    if (!errors.tryToSend()) {
      problem.value = null;
      focusFirst(errors.shown.value.keys());
      return;
    }
    saving.value = true;
    problem.value = null;
    const definition = toDefinition(plugin, draft.value);
    try {
      const saved = monitor
        ? await api.replace(monitor.id, definition, monitor.version)
        : await api.create(definition);
      guardLeaving(null);
      await navigate(paths.monitor(saved.id));
      toast(monitor ? `Saved ${saved.name}` : `Added ${saved.name}, the first check runs now`);
    } catch (cause) {
      problem.value = cause;
      saving.value = false;
      refuse(cause);
    }
  };
  const check = async () => {
    checking.value = true;
    checkProblem.value = null;
    result.value = null;
    try {
      const name = checkName(monitor, draft.value['name']);
      result.value = await api.checkDefinition({ ...toDefinition(plugin, draft.value), name });
    } catch (cause) {
      checkProblem.value = cause;
      refuse(cause);
    }
    checking.value = false;
  };

  return (
    <FormErrorsProvider value={errors}>
      <div class="form-columns">
        <form
          class="form"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (!saving.value) void save();
          }}
        >
          {problem.value !== null && <SaveProblem error={problem.value} onReload={onReload} />}
          <Sections
            plugin={plugin}
            plugins={plugins}
            self={monitor?.id ?? null}
            draft={draft.value}
            onKind={(next) => {
              kind.value = next;
              result.value = null;
              draft.value = { ...draft.value, settings: {}, thresholds: {} };
            }}
            onChange={(name, value) => {
              if (name === 'name') named.value = value !== '' && value !== undefined;
              change(name, name, value);
            }}
            onSetting={changeSetting}
          />
          <div class="form-actions">
            <button type="submit" class="button button-primary" aria-disabled={saving.value}>
              {saving.value && <span class="spinner" aria-hidden="true" />}
              {monitor ? 'Save changes' : 'Add monitor'}
            </button>
            <a class="button" href={href(monitor ? paths.monitor(monitor.id) : paths.list)}>
              Cancel
            </a>
          </div>
        </form>
        <CheckPanel
          plugin={plugin}
          result={result.value}
          error={checkProblem.value}
          checking={checking.value}
          onCheck={check}
        />
      </div>
      <AskBeforeLeaving when={dirty && !saving.value} />
    </FormErrorsProvider>
  );
}

function SaveProblem({ error, onReload }: { error: unknown; onReload: () => void }) {
  if (asApiError(error).code !== 'stale-version') return <ProblemBox error={error} />;
  return (
    <div class="notice notice-bad" role="alert">
      <div class="notice-text">
        <strong>It was changed meanwhile</strong>
        <p>
          Someone saved this monitor after you opened it. Reload to see that version; what you typed is lost
          then.
        </p>
      </div>
      <button type="button" class="button button-small" onClick={onReload}>
        Reload
      </button>
    </div>
  );
}

/** Goes to the first of these fields in the order of the page, once their messages are on it. */
function focusFirst(paths: Iterable<string>): void {
  const wrong = new Set([...paths].map(fieldId));
  requestAnimationFrame(() => {
    for (const element of document.querySelectorAll('.form [id^="field-"]')) {
      if (!wrong.has(element.id)) continue;
      focusField(element.id.slice('field-'.length));
      return;
    }
  });
}

/**
 * The server takes masked secrets from the monitor of the same name, so an edited one is checked under the name it
 * was saved with. A new one does not need a name yet.
 */
function checkName(monitor: Monitor | null, typed: Draft): string {
  if (monitor) return monitor.name;
  return typeof typed === 'string' && typed !== '' ? typed : 'unnamed';
}

/** Most people come to watch a website. */
function preferred(plugins: readonly Plugin[]): Plugin | undefined {
  return plugins.find(({ category }) => category === 'web') ?? plugins[0];
}
