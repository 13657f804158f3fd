import { useSignal } from '@preact/signals';
import { plugins } from '../../api/catalogue.ts';
import { api } from '../../api/client.ts';
import { href } from '../../base.ts';
import { addressField, nameFromAddress, withScheme } from '../../form/address.ts';
import { navigate, paths } from '../../router/router.ts';
import { problemText } from '../../ui/problem.tsx';
import { toast } from '../../ui/toast.tsx';

/** The first monitor from one field: paste an address, the rest is inferred. */
export function QuickAdd() {
  const address = useSignal('');
  const failure = useSignal<string | null>(null);
  const busy = useSignal(false);
  const target = plugins.value
    ?.map((plugin) => ({ plugin, field: addressField(plugin.schema) }))
    .find(({ field }) => field);

  const add = async () => {
    if (!target?.field) return;
    const url = withScheme(address.value);
    const name = url && nameFromAddress(url);
    if (!url || !name) {
      failure.value = 'This is not a web address. An example is https://example.com/';
      return;
    }
    busy.value = true;
    failure.value = null;
    try {
      const made = await api.create({ name, kind: target.plugin.kind, settings: { [target.field]: url } });
      toast(`Added ${made.name}`, {
        action: { label: 'Open', run: () => void navigate(paths.monitor(made.id)) },
      });
      address.value = '';
    } catch (cause) {
      failure.value = problemText(cause);
    }
    busy.value = false;
  };

  return (
    <>
      {target?.field && (
        <form
          class="quick-add"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            void add();
          }}
        >
          <label for="quick-address">Address to watch</label>
          <div class="quick-add-row">
            <input
              id="quick-address"
              type="url"
              inputMode="url"
              placeholder="https://example.com/"
              autocomplete="off"
              value={address.value}
              aria-invalid={failure.value !== null}
              aria-describedby="quick-address-help"
              onInput={(event) => {
                address.value = event.currentTarget.value;
              }}
            />
            <button type="submit" class="button button-primary" disabled={busy.value}>
              Start watching
            </button>
          </div>
          <p
            id="quick-address-help"
            class={failure.value ? 'field-error' : 'dim'}
            role={failure.value ? 'alert' : undefined}
          >
            {failure.value ?? 'The first check runs at once. Everything else can be changed later.'}
          </p>
        </form>
      )}
      <a class="button" href={href(paths.add)}>
        All options
      </a>
    </>
  );
}
