package security

// ParsePolicyRules returns the rules of a policy file, without asking whether they mean anything.
func ParsePolicyRules(text []byte) (rules []Rule, err error) {
	err = parsePolicyRules(text, func(_ int, r *Rule) error { rules = append(rules, *r); return nil })
	return rules, err
}
