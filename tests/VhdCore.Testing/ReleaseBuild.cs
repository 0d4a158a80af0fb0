namespace VhdCore.Testing;

/// <summary>For tests of what only the Release build promises.</summary>
internal static class ReleaseBuild
{
    /// <summary>Skips the test in a Debug build. A method of its own, so that the compiler does not take the rest of the test for unreachable.</summary>
    public static void Require()
    {
#if DEBUG
        Xunit.Assert.Skip("Debug builds allocate the state of every async method; the Release build is what is measured.");
#endif
    }
}
