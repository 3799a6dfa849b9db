"""x."""
def verify_program(*a):
    return "off"
