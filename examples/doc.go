// Package examples has nothing in it but tests, of what the READMEs of the examples say.
package examples
