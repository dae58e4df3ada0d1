"""x"""
class GradedRenderer:
    def __init__(self,m): pass
