// Reads {"headers":[{"name":…,"value":…}]} and nothing more. Unknown members are skipped, anything that is
// not JSON or not of this shape leaves a sentence in `problem`. AssemblyScript has no exceptions to catch, so
// every step checks `problem`.

export class Header {
  constructor(public name: string, public value: string) {}
}

const MAX_DEPTH: i32 = 64;

export class ConfigurationReader {
  problem: string = "";
  headers: Array<Header> = [];
  private at: i32 = 0;

  constructor(private text: string) {}

  read(): void {
    if (this.peek() != 0x7b) {
      this.fail("not a JSON object");
      return;
    }
    this.at++;
    let first = true;
    while (this.nextMember(first)) {
      first = false;
      const key = this.key();
      if (key == "headers") this.readHeaders();
      else this.skipValue(0);
    }
    if (this.problem == "" && this.peek() != -1) this.fail("text after the JSON value");
  }

  private readHeaders(): void {
    if (this.peek() != 0x5b) {
      this.fail('"headers" is not an array');
      return;
    }
    this.at++;
    let first = true;
    while (this.nextItem(first, 0x5d)) {
      first = false;
      this.readHeader();
    }
  }

  private readHeader(): void {
    let name = "";
    let value = "";
    let found = 0;
    if (this.peek() != 0x7b) {
      this.fail("a header is not an object");
      return;
    }
    this.at++;
    let first = true;
    while (this.nextMember(first)) {
      first = false;
      const key = this.key();
      if (key == "name") {
        name = this.string();
        found |= 1;
      } else if (key == "value") {
        value = this.string();
        found |= 2;
      } else this.skipValue(0);
    }
    if (this.problem != "") return;
    if (found != 3 || name.length == 0) this.fail('a header needs "name", not empty, and "value", both strings');
    else this.headers.push(new Header(name, value));
  }

  private fail(problem: string): void {
    if (this.problem == "") this.problem = problem + " (at character " + this.at.toString() + ")";
  }

  /** The next character that is not white space, not consumed; -1 at the end. */
  private peek(): i32 {
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09) return c;
      this.at++;
    }
    return -1;
  }

  /** True when another item follows; consumes the comma before it, or the closing bracket. */
  private nextItem(first: bool, close: i32): bool {
    if (this.problem != "") return false;
    const c = this.peek();
    if (c == close) {
      this.at++;
      return false;
    }
    if (first) return true;
    if (c != 0x2c) {
      this.fail("expected a comma or a closing bracket");
      return false;
    }
    this.at++;
    return true;
  }

  private nextMember(first: bool): bool {
    return this.nextItem(first, 0x7d);
  }

  private key(): string {
    const key = this.string();
    if (this.problem == "" && this.peek() != 0x3a) this.fail("expected a colon");
    this.at++;
    return key;
  }

  private string(): string {
    if (this.peek() != 0x22) {
      this.fail("expected a string");
      return "";
    }
    let out = "";
    let start = ++this.at;
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c == 0x22) {
        out += this.text.substring(start, this.at++);
        return out;
      }
      if (c < 0x20) break;
      if (c != 0x5c) {
        this.at++;
        continue;
      }
      out += this.text.substring(start, this.at++);
      const escaped = this.escape();
      if (escaped < 0) break;
      out += String.fromCharCode(escaped);
      start = this.at;
    }
    this.fail("a string that does not end or has a bad character");
    return "";
  }

  private escape(): i32 {
    const c = this.at < this.text.length ? this.text.charCodeAt(this.at++) : 0;
    if (c == 0x22 || c == 0x5c || c == 0x2f) return c;
    if (c == 0x62) return 8;
    if (c == 0x66) return 12;
    if (c == 0x6e) return 10;
    if (c == 0x72) return 13;
    if (c == 0x74) return 9;
    if (c != 0x75 || this.at + 4 > this.text.length) return -1;
    let code = 0;
    for (let i = 0; i < 4; i++) {
      const d = this.text.charCodeAt(this.at++);
      if (d >= 0x30 && d <= 0x39) code = code * 16 + d - 0x30;
      else if ((d | 0x20) >= 0x61 && (d | 0x20) <= 0x66) code = code * 16 + (d | 0x20) - 0x57;
      else return -1;
    }
    return code;
  }

  private skipValue(depth: i32): void {
    const c = this.peek();
    let first = true;
    if (depth > MAX_DEPTH) this.fail("nested too deeply");
    else if (c == 0x22) this.string();
    else if (c == 0x7b) {
      this.at++;
      while (this.nextMember(first)) {
        first = false;
        this.key();
        this.skipValue(depth + 1);
      }
    } else if (c == 0x5b) {
      this.at++;
      while (this.nextItem(first, 0x5d)) {
        first = false;
        this.skipValue(depth + 1);
      }
    } else this.skipWord();
  }

  private skipWord(): void {
    const start = this.at;
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      const isWord = (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x7a) || c == 0x2b || c == 0x2d || c == 0x2e || c == 0x45;
      if (!isWord) break;
      this.at++;
    }
    const word = this.text.substring(start, this.at);
    if (word == "true" || word == "false" || word == "null") return;
    const first = word.length > 0 ? word.charCodeAt(0) : 0;
    if ((first != 0x2d && (first < 0x30 || first > 0x39)) || isNaN(parseFloat(word))) this.fail("not a JSON value");
  }
}
