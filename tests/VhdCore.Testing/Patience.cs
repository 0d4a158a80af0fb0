namespace VhdCore.Testing;

/// <summary>How long tests wait for what has to come.</summary>
internal static class Patience
{
    /// <summary>Only what hangs takes longer, however slow the machine is and whatever else runs on it.</summary>
    public static readonly TimeSpan Hang = TimeSpan.FromMinutes(5);
}
