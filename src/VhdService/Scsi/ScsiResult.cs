namespace VhdService.Scsi;

/// <summary>How a command ended, as SAM-3 has it (5.3).</summary>
internal enum ScsiStatus : byte
{
    Good = 0x00,
    CheckCondition = 0x02,
}

/// <summary>Whether a command reached a unit, and whether its data had room.</summary>
internal enum ScsiOutcome
{
    /// <summary>The status says the rest.</summary>
    Completed,

    /// <summary>There is no such unit, and the command is none that an absent unit answers.</summary>
    NoSuchUnit,

    /// <summary>The command moves more than the request has room for. A read filled the room; a write changed nothing.</summary>
    DataOverrun,
}

/// <summary>The answer to a <see cref="ScsiRequest"/>.</summary>
/// <param name="Outcome">Whether the rest counts.</param>
/// <param name="Status">Good, or there is sense.</param>
/// <param name="Sense">Why not.</param>
/// <param name="Transferred">Bytes moved between the request's memory and the unit.</param>
internal readonly record struct ScsiResult(ScsiOutcome Outcome, ScsiStatus Status, ScsiSense Sense, long Transferred)
{
    /// <summary>There is no such unit.</summary>
    public static readonly ScsiResult NoSuchUnit = new(ScsiOutcome.NoSuchUnit, ScsiStatus.Good, ScsiSense.None, 0);

    /// <summary>More data than room.</summary>
    public static ScsiResult DataOverrun(long transferred) => new(ScsiOutcome.DataOverrun, ScsiStatus.Good, ScsiSense.None, transferred);

    /// <summary>Done, with so many bytes moved.</summary>
    public static ScsiResult Good(long transferred = 0) => new(ScsiOutcome.Completed, ScsiStatus.Good, ScsiSense.None, transferred);

    /// <summary>CHECK CONDITION with its reason.</summary>
    public static ScsiResult Check(ScsiSense sense, long transferred = 0) => new(ScsiOutcome.Completed, ScsiStatus.CheckCondition, sense, transferred);
}
