import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { Dialog } from './dialog.tsx';

interface Props {
  /** What goes away, in the sentence of the dialog. */
  what: string;
  /** What has to be typed, because this cannot be undone. */
  confirmation: string;
  onConfirm: () => void;
  onClose: () => void;
}

export function DeleteDialog({ what, confirmation, onConfirm, onClose }: Props) {
  const typed = useSignal('');
  const id = useId();
  const matches = typed.value.trim() === confirmation;
  return (
    <Dialog title={`Delete ${what}?`} onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (matches) onConfirm();
        }}
      >
        <p>
          The definition and all history go away for good. To stop the checks and keep the history, pause
          instead.
        </p>
        <label for={id}>
          Type <strong>{confirmation}</strong> to confirm
        </label>
        <input
          id={id}
          type="text"
          autocomplete="off"
          spellcheck={false}
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
          }}
        />
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-danger" disabled={!matches}>
            Delete
          </button>
        </div>
      </form>
    </Dialog>
  );
}
