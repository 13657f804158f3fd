/** The shapes of the HTTP API, as docs/api-design.md fixes them. */

export type Status = 'healthy' | 'degraded' | 'unhealthy' | 'unknown' | 'paused' | 'maintenance';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface FieldError {
  field: string;
  value?: Json;
  reason: string;
  hint?: string | null;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  errors?: FieldError[];
  request_id?: string;
}

export interface Settings {
  time_zone: string;
  version: string;
  location: string;
  worker: string;
  login: boolean;
}

export interface ProbeInfo {
  name: string;
  title: string;
  interval: string;
  timeout: string;
}

export interface MetricInfo {
  name: string;
  title: string;
  unit: string;
  help: string;
  type: 'gauge' | 'counter';
  warning: number | null;
  critical: number | null;
  direction: 'above' | 'below';
}

/** A measurement of the last check, or why there is none. */
export interface Reading {
  metric: string;
  title: string;
  unit: string;
  labels: Record<string, string>;
  value: number | null;
  quality: 'exact' | 'estimate' | 'unsupported' | 'no_permission' | 'unknown';
  hint: string | null;
}

export interface ProbeReadings {
  probe: string;
  time: string;
  error_class: string | null;
  message: string | null;
  readings: Reading[];
}

export interface Readings {
  probes: ProbeReadings[];
}

export interface ErrorClassInfo {
  name: string;
  title: string;
  fault: 'target' | 'own';
  hint: string;
}

/** A JSON Schema 2020-12 node with the marks of ours. */
export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  title?: string;
  description?: string;
  format?: string;
  default?: Json;
  const?: Json;
  enum?: Json[];
  examples?: Json[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: boolean | Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  writeOnly?: boolean;
  'x-wise'?: string;
  'x-wise-group'?: string;
  'x-wise-multiline'?: boolean;
}

export interface Plugin {
  kind: string;
  title: string;
  summary: string;
  category: string;
  schema: Schema;
  example: JsonObject;
  probes: ProbeInfo[];
  metrics: MetricInfo[];
  error_classes: ErrorClassInfo[];
  headline: string;
}

export interface Reason {
  class: string | null;
  code: string | null;
  message: string;
  probe: string | null;
  metric: string | null;
  labels?: Record<string, string>;
  value: number | null;
  bound?: number | null;
}

export interface ThresholdPair {
  warning?: number | null;
  critical?: number | null;
}

export interface ProbeOverride {
  interval?: string | null;
  timeout?: string | null;
  enabled?: boolean | null;
}

/** What a user writes; everything but name, kind and settings has a default on the server. */
export type Definition = JsonObject & { name: string; kind: string; settings: JsonObject };

export interface Monitor {
  id: string;
  name: string;
  kind: string;
  settings: JsonObject;
  interval: string;
  timeout: string;
  retry_interval: string | null;
  failures_before_unhealthy: number;
  failure_window: number | null;
  successes_before_healthy: number;
  tags: Record<string, string>;
  depends_on: string[];
  enabled: boolean;
  probes: Record<string, ProbeOverride>;
  thresholds: Record<string, ThresholdPair>;
  status: Status;
  down: boolean;
  since: string | null;
  reason: Reason | null;
  conditions: Condition[];
  last_check: string | null;
  next_check: string | null;
  facts: Record<string, Json>;
  affected_by: string[];
  problem: string | null;
  version: number;
  created_at: string;
  updated_at: string;
  created_by: string | null;
  updated_by: string | null;
  managed_by: string;
}

export interface CheckResult {
  id: string;
  time: string;
  probe: string;
  status: Status;
  duration_ms: number | null;
  error_class: string | null;
  error_code: string | null;
  message: string | null;
  evidence: JsonObject | null;
  readings?: Record<string, number | null>;
  location?: string;
  worker?: string;
}

export type Point = [time: number, value: number];

export interface History {
  metric: string;
  unit: string;
  step_seconds: number;
  series: { labels: Record<string, string>; points: Point[] }[];
}

/** One thing that is wrong with a monitor. */
export interface Condition {
  key: string;
  kind: 'down' | 'probe_failing' | 'threshold' | 'unknown';
  /** The probe that can clear it. */
  probe: string;
  metric?: string;
  labels?: Record<string, string>;
  severity: 'warning' | 'critical';
  since: string;
  reason: Reason;
  evidence?: JsonObject;
}

interface Recorded {
  sequence: number;
  identity: string;
  time: string;
  monitor: string;
  name?: string;
}

export interface StatusEvent extends Recorded {
  type: 'status';
  /** Missing for the first status it ever had. */
  from?: Status;
  to: Status;
  down: boolean;
  /** From when it holds; a monitor is down from the first failure of the run that decided it. */
  since: string;
  reason?: Reason;
}

export interface ConditionEvent extends Recorded {
  type: 'raised' | 'changed' | 'cleared';
  condition: Condition;
  cause?: 'recovered' | 'gone' | 'edited';
}

export interface GapEvent extends Recorded {
  type: 'gap';
  since: string;
  until: string;
  reason: Reason;
}

export interface RemovalEvent extends Recorded {
  type: 'removed' | 'restored';
}

/** A fact of the main record about a monitor. */
export type MonitorEvent = StatusEvent | ConditionEvent | GapEvent | RemovalEvent;

export interface UptimeWindow {
  window: string;
  from: string;
  to: string;
  uptime_ratio: number | null;
  up_seconds: number;
  down_seconds: number;
  unknown_seconds: number;
  paused_seconds: number;
  maintenance_seconds: number;
  incidents: number;
}

export type Counts = Record<Status, number>;

export interface OverviewItem {
  id: string;
  name: string;
  kind: string;
  status: Status;
  down: boolean;
  since: string | null;
  reason: string | null;
  latency_ms: number | null;
  uptime_24h: number | null;
  beats: string;
  latency: (number | null)[];
  interval_seconds: number;
  tags: Record<string, string>;
  depends_on: string[];
  last_check: string | null;
  /** The group it belongs to on the galaxy map, and its place in there. */
  group: string;
  slot: number;
}

/** A circle of the galaxy map; distances are those between neighbouring monitors. */
export interface OverviewGroup {
  name: string;
  x: number;
  y: number;
  radius: number;
}

export interface Overview {
  id: string;
  time: string;
  time_zone: string;
  bucket_seconds: number;
  bucket_end: number;
  counts: Counts;
  groups: readonly OverviewGroup[];
  items: OverviewItem[];
}

export interface OverviewUpdate {
  items: OverviewItem[];
  removed: string[];
  counts: Counts;
  groups: readonly OverviewGroup[];
  bucket_end: number;
  time: string;
}

type WireGroup = [name: string, x: number, y: number, radius: number];

/** An overview on the wire: `fields` says what the places of the arrays in `items` are. */
export interface WireOverview extends Omit<Overview, 'groups' | 'items'> {
  fields: string[];
  statuses: string[];
  groups: WireGroup[];
  items: unknown[][];
}

export interface WireUpdate extends Omit<OverviewUpdate, 'groups' | 'items'> {
  groups?: WireGroup[];
  items: unknown[][];
}
