// What xds/ says to people: the program passes its logger. Types only.

type Fields = Readonly<Record<string, string | number | boolean>>;

export interface XdsLog {
  debug(message: string, fields: Fields): void;
  info(message: string, fields: Fields): void;
  warn(message: string, fields: Fields): void;
}
