import { type Theme, theme } from '../theme/theme.ts';
import { now } from '../time/clock.ts';
import {
  browserZone,
  instanceZone,
  knownZones,
  offsetLabel,
  offsetMinutes,
  zone,
  zoneChoice,
} from '../time/zone.ts';
import { Icon } from '../ui/icons.tsx';
import { server } from './server.ts';
import { shortcuts } from './shortcuts.ts';

const THEMES: readonly [Theme, string][] = [
  ['system', 'System'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

/** The choices of this user on this device. */
export function PreferencesMenu() {
  return (
    <div class="menu">
      <button type="button" class="header-button" popovertarget="preferences" aria-label="Preferences">
        <Icon name="settings" />
      </button>
      <div id="preferences" popover="auto" class="popover">
        <fieldset class="segmented">
          <legend>Theme</legend>
          {THEMES.map(([value, label]) => (
            <label key={value}>
              <input
                type="radio"
                name="theme"
                checked={theme.value === value}
                onChange={() => {
                  theme.value = value;
                }}
              />
              <span>{label}</span>
            </label>
          ))}
        </fieldset>
        <ZoneField />
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
        {server.value && (
          <p class="popover-about">
            wise-monitoring {server.value.version}, checking from {server.value.location} (
            {server.value.worker})
          </p>
        )}
      </div>
    </div>
  );
}

function ZoneField() {
  const offset = offsetLabel(offsetMinutes(zone.value, new Date(now.peek())));
  return (
    <div class="popover-field">
      <label for="zone">Time zone</label>
      <select
        id="zone"
        value={zoneChoice.value}
        onChange={(event) => {
          zoneChoice.value = event.currentTarget.value;
        }}
      >
        <option value="instance">Of this server ({instanceZone.value})</option>
        <option value="browser">Of this browser ({browserZone()})</option>
        {knownZones().map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <p class="dim">
        Times are shown in {zone.value} ({offset}).
      </p>
    </div>
  );
}
