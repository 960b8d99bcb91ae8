/**
 * A process's configuration: the schema's defaults, then a JSON file, then ROOKERY_* environment variables, then flags;
 * later ones win. The only place where the environment is read. ROOKERY_NATS__SERVERS sets `nats.servers`: `__` goes one
 * level down, names are in upper snake case. A list is JSON, or its members with commas between them.
 */
import { readFileSync } from 'node:fs';
import type { Static, TObject, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { RookeryError } from '../../protocol/error-codes.ts';

type Tree = { [key: string]: unknown };

export interface Sources {
  /** Path of a JSON file. */
  readonly file?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv;
  /** Already a tree, `{ nats: { servers: [...] } }`, or from `flagsOf`. */
  readonly flags?: Tree;
}

export interface Origin {
  readonly field: string;
  readonly value: unknown;
  readonly from: 'default' | 'file' | 'environment' | 'flag';
  /** What the schema says of the field; undefined for a field inside a free-form value. */
  readonly schema: FieldSchema | undefined;
}

export interface Loaded<Schema extends TObject> {
  readonly config: Static<Schema>;
  /** Every field in force and where it came from, in the schema's order. */
  readonly origins: readonly Origin[];
}

/** What we read of a field's schema. `secret` is ours: the value is never shown. */
export interface FieldSchema {
  readonly type?: string;
  readonly properties?: Record<string, FieldSchema>;
  readonly anyOf?: readonly { readonly const?: unknown }[];
  readonly description?: string;
  readonly default?: unknown;
  readonly secret?: true;
}

/** @throws RookeryError CONFIGURATION_INVALID that names each wrong field and what it should be */
export function loadConfiguration<Schema extends TObject>(schema: Schema, sources: Sources): Loaded<Schema> {
  const fields = fieldsOf(schema);
  const layers: [Origin['from'], Tree][] = [
    ['default', Value.Default(schema, {}) as Tree],
    ['file', sources.file ? fromFile(sources.file) : {}],
    ['environment', fromEnvironment(fields, sources.environment ?? process.env)],
    ['flag', fromFlags(fields, sources.flags ?? {})],
  ];
  const merged: Tree = {};
  const from = new Map<string, Origin['from']>();
  for (const [name, layer] of layers) merge(merged, layer, (field) => from.set(field, name));
  const problems = problemsOf(schema, merged);
  if (problems.length > 0) throw new RookeryError('CONFIGURATION_INVALID', problems.join('; '));
  const origins = [...from].map(([field, origin]) => ({
    ...{ field, value: at(merged, field), from: origin },
    schema: fields.get(field),
  }));
  return { config: merged as Static<Schema>, origins };
}

/** `['limits.maxSessions=100']` as flags. What is set twice has its last value. */
export function flagsOf(settings: readonly string[]): Tree {
  const tree: Tree = {};
  for (const setting of settings) {
    const end = setting.indexOf('=');
    if (end < 1) throw new RookeryError('CONFIGURATION_INVALID', `--set ${setting}: this is not field=value`);
    const text = setting.slice(end + 1);
    merge(tree, nest(setting.slice(0, end), new Unparsed(text)), () => undefined);
  }
  return tree;
}

/** Names of all environment variables that set a field of one of the schemas. */
export const variablesOf = (schemas: readonly TObject[]): string[] =>
  schemas.flatMap((schema) => [...fieldsOf(schema).keys()].map(variableOf));

/** Text whose field, and so its type, is not known yet. */
class Unparsed {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function fromFile(path: string): Tree {
  try {
    const tree: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isTree(tree)) throw new Error('there is no object in it');
    return tree;
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `${path}: ${(cause as Error).message}`, { cause });
  }
}

function fromEnvironment(fields: ReadonlyMap<string, FieldSchema>, environment: NodeJS.ProcessEnv): Tree {
  const tree: Tree = {};
  for (const [field, schema] of fields) {
    const text = environment[variableOf(field)];
    if (text !== undefined) merge(tree, nest(field, parse(text, schema)), () => undefined);
  }
  return tree;
}

/** Whole trees (`--set nats={…}`) are JSON. */
function fromFlags(fields: ReadonlyMap<string, FieldSchema>, flags: Tree, prefix = ''): Tree {
  const entries = Object.entries(flags).map(([key, value]): [string, unknown] => {
    if (value instanceof Unparsed) return [key, parse(value.text, fields.get(prefix + key))];
    return [key, isTree(value) ? fromFlags(fields, value, `${prefix}${key}.`) : value];
  });
  return Object.fromEntries(entries);
}

const variableOf = (field: string): string =>
  `ROOKERY_${field
    .replaceAll('.', '__')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;

/** The leaves of the schema by their dotted names. */
function fieldsOf(schema: TSchema, prefix = ''): Map<string, FieldSchema> {
  const { properties = {} } = schema as FieldSchema;
  return new Map(
    Object.entries(properties).flatMap(([key, field]): [string, FieldSchema][] =>
      field.properties ? [...fieldsOf(field as TSchema, `${prefix}${key}.`)] : [[prefix + key, field]],
    ),
  );
}

/** As the field's type wants it; what does not fit stays text, and the schema says what is wrong with it. */
function parse(text: string, schema: FieldSchema | undefined): unknown {
  if (schema?.type === 'string' || schema?.anyOf?.some((choice) => typeof choice.const === 'string')) {
    // Quoted by who wrote JSON.
    return /^".*"$/s.test(text) ? fromJson(text) : text;
  }
  if (schema?.type === 'array' && !text.startsWith('[')) return text === '' ? [] : text.split(',');
  return fromJson(text);
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** One line a wrong field; TypeBox tells of each branch of a choice and of each unknown field twice. */
function problemsOf(schema: TObject, merged: Tree): string[] {
  const errors = Value.Errors(schema, merged);
  return errors.flatMap(({ keyword, instancePath, message }) => {
    const field = instancePath.slice(1).replaceAll('/', '.') || 'the configuration';
    switch (keyword) {
      case 'additionalProperties':
      case 'const':
        return [];
      case 'boolean':
        return [`${field}: there is no such field`];
      case 'anyOf': {
        const choices = errors.filter((other) => other.keyword === 'const' && other.instancePath === instancePath);
        const allowed = choices.map((choice) => String((choice.params as { allowedValue?: unknown }).allowedValue));
        return [`${field}: must be ${allowed.join(' or ')}`];
      }
      default:
        return [`${field}: ${message}`];
    }
  });
}

/** `a.b` = 1 as `{ a: { b: 1 } }`. */
const nest = (field: string, value: unknown): Tree =>
  field.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Unparsed);

function merge(target: Tree, layer: Tree, set: (field: string) => void, prefix = ''): void {
  for (const [key, value] of Object.entries(layer)) {
    if (value === undefined) continue;
    if (isTree(value)) {
      if (!isTree(target[key])) target[key] = {};
      merge(target[key] as Tree, value, set, `${prefix}${key}.`);
    } else {
      target[key] = value;
      set(prefix + key);
    }
  }
}

const at = (tree: Tree, field: string): unknown =>
  field.split('.').reduce<unknown>((value, key) => (value as Tree | undefined)?.[key], tree);
