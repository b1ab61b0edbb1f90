// The hashes of costsim_pg in JavaScript: reads a JSON text a line, answers with its hashes of version 1, 2 and 3.
'use strict';
const { createHash } = require('crypto');

const sha256 = form => createHash('sha256').update(form, 'utf8').digest('hex');

// JSON.parse has lost 1.0 against 1, the digits of large integers, and all but the last of equal names. A number stays as it is
// spelled, an object the list of its members.
class Spelled {
    constructor(text) { this.text = text; }
}
class Members {
    constructor(list) { this.list = list; }
}

function parse(text) {
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|[-+.\w]+|[[\]{},:]/g);
    let at = 0;
    const list = (end, item) => {
        const items = [];
        if (tokens[at] === end) at++;
        else do items.push(item()); while (tokens[at++] === ',');
        return items;
    };
    const value = () => {
        const token = tokens[at++];
        if (token === '[') return list(']', value);
        if (token === '{') {
            return new Members(list('}', () => {
                const name = JSON.parse(tokens[at]);
                at += 2;
                return [name, value()];
            }));
        }
        return /^[-\d]/.test(token) ? new Spelled(token) : JSON.parse(token);
    };
    return value();
}

function print(value, form) {
    if (value instanceof Members) {
        const members = form.members(value.list).sort((a, b) => form.order(a[0], b[0]));
        return '{' + members.map(([name, value]) => form.string(name) + ':' + print(value, form)).join(',') + '}';
    }
    if (Array.isArray(value)) return '[' + value.map(value => print(value, form)).join(',') + ']';
    if (value instanceof Spelled) return form.number(value.text);
    return typeof value === 'string' ? form.string(value) : String(value);
}

// What CPython's json.dumps(.., sort_keys=True, separators=(",", ":")) prints.
const reference = {
    members: list => [...new Map(list)],
    order: (a, b) => {
        const [left, right] = [a, b].map(text => Array.from(text, character => character.codePointAt(0)));
        const differs = left.findIndex((code, index) => code !== right[index]);
        if (differs < 0) return left.length - right.length;
        return differs < right.length ? left[differs] - right[differs] : 1;
    },
    string: text => JSON.stringify(text).replace(/[\u007f-\uffff]/g,
        unit => '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0')),
    number: text => {
        if (!/[.eE]/.test(text)) return text === '-0' ? '0' : text;
        const number = Number(text);
        if (!Number.isFinite(number)) return String(number);
        const sign = Object.is(number, -0) || number < 0 ? '-' : '';
        const [mantissa, exponent] = Math.abs(number).toExponential().split('e');
        if (number !== 0 && (exponent < -4 || exponent >= 16)) {
            return `${sign}${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
        }
        const digits = mantissa.replace('.', '');
        if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
        const whole = Number(exponent) + 1;
        return `${sign}${digits.slice(0, whole).padEnd(whole, '0')}.${digits.slice(whole) || '0'}`;
    },
};

// RFC 8785.
const jcs = {
    members: list => {
        if (new Map(list).size < list.length) throw new RangeError('duplicate name');
        return list;
    },
    order: (a, b) => (a < b ? -1 : 1),
    string: text => {
        if (!text.isWellFormed()) throw new RangeError('lone surrogate');
        return JSON.stringify(text);
    },
    number: text => {
        const number = Number(text);
        if (!Number.isFinite(number)) throw new RangeError('beyond the range of a double');
        return String(number === 0 ? 0 : number);
    },
};

// Version 2; the first 16 digits are version 1.
const inputDigest = text => sha256(print(parse(text), reference));
// Version 3.
const jcsDigest = text => sha256(print(parse(text), jcs));

require('readline').createInterface({ input: process.stdin }).on('line', text => {
    const digest = inputDigest(text);
    let third = 'refused';
    try {
        third = jcsDigest(text);
    } catch (error) {
        if (!(error instanceof RangeError)) throw error;
    }
    console.log(digest.slice(0, 16), digest, third);
});
