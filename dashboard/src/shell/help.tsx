import { signal } from '@preact/signals';
import { Dialog } from '../ui/dialog.tsx';
import { shortcuts } from './shortcuts.ts';

export const helpOpen = signal(false);

const KEYS: readonly [keys: string[], what: string][] = [
  [['/'], 'Search the list'],
  [['n'], 'Next problem'],
  [['p'], 'Previous problem'],
  [['g', 'l'], 'Go to the list of monitors'],
  [['g', 'a'], 'Add a monitor'],
  [['?'], 'This help'],
  [['Esc'], 'Close a dialog or a menu'],
];

export function HelpDialog() {
  return (
    <Dialog
      title="Keyboard shortcuts"
      onClose={() => {
        helpOpen.value = false;
      }}
    >
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key, index) => (
                <>
                  {index > 0 && <span class="dim"> then </span>}
                  <kbd class="kbd">{key}</kbd>
                </>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="switch">
        <input
          type="checkbox"
          checked={shortcuts.value === 'on'}
          onChange={(event) => {
            shortcuts.value = event.currentTarget.checked ? 'on' : 'off';
          }}
        />
        Single-key shortcuts
      </label>
    </Dialog>
  );
}
