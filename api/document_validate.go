package api

import "encoding/json"

// Validate holds params against the schema of a method of this document, as a peer that serves it will. Nil params are
// absent ones. What is wrong is an *Error with CodeInvalidParams that names the place; any other error concerns the
// document. Validate reads the schema anew each time: it is for tools, not for the way of each message.
func (d Document) Validate(m *DocumentMethod, params json.RawMessage) error {
	u, err := newUntyped(d, m, m.Name, true, 0)
	if err != nil {
		return err
	}
	_, err = u.read(params)
	return err
}
