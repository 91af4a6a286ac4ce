package tap

import (
	"strings"
	"unicode"
)

// secretWords say of a value that it is secret when they are one of the words of its name.
var secretWords = map[string]bool{"pwd": true, "secret": true, "secrets": true, "token": true, "tokens": true, "key": true, "keys": true,
	"auth": true, "cookie": true, "cookies": true, "bearer": true}

// secretParts say so wherever they stand in a word, secretEndings at its end: accesstoken, but not tokenizer.
var (
	secretParts   = []string{"password", "passwd", "passphrase", "credential", "authorization", "apikey", "privatekey", "secretkey", "accesskey"}
	secretEndings = []string{"secret", "secrets", "token", "tokens"}
)

// secretName reports whether a member of that name holds a secret, as api_key, sessionToken, HMACKey and Password2 do.
func secretName(name string) bool {
	start := -1
	var last rune
	for i, r := range name {
		letter := unicode.IsLetter(r)
		if start >= 0 && (!letter || unicode.IsUpper(r) && unicode.IsLower(last)) {
			if secretWord(name[start:i]) {
				return true
			}
			start = -1
		}
		if start < 0 && letter {
			start = i
		}
		last = r
	}
	return start >= 0 && secretWord(name[start:])
}

// secretWord reports whether a word is one of those that say so. Of capitals with a word behind them, as in HMACKey, that
// word is looked at too.
func secretWord(word string) bool {
	low := strings.ToLower(word)
	if secretWords[low] {
		return true
	}
	if at := strings.LastIndexFunc(word, unicode.IsUpper); at > 0 && secretWords[strings.ToLower(word[at:])] {
		return true
	}
	if len(low) < len("apikey") { // the shortest of what follows
		return false
	}
	for _, s := range secretParts {
		if strings.Contains(low, s) {
			return true
		}
	}
	for _, s := range secretEndings {
		if strings.HasSuffix(low, s) {
			return true
		}
	}
	return false
}
