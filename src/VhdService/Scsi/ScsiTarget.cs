using System.Buffers.Binary;
using VhdCore.Devices;
using VhdService.Scsi.Wire;

namespace VhdService.Scsi;

/// <summary>
/// The disks of one SCSI controller: logical units at channel 0, target 0. Units come and go while a guest runs; what asks for an absent one is answered so
/// that a guest which scans for units finds none there.
/// </summary>
public sealed class ScsiTarget
{
    /// <summary>Unit numbers are below this.</summary>
    public const int MaxUnits = 64;

    private readonly ScsiDisk?[] _units = new ScsiDisk?[MaxUnits];
    private readonly Lock _lock = new();

    /// <summary>A controller without units.</summary>
    /// <param name="maxTransferBytes">The most that one command moves, a multiple of 4096.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxTransferBytes"/> is below 4096, above 64 MiB, or no multiple of 4096.</exception>
    public ScsiTarget(int maxTransferBytes = 1 << 20)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxTransferBytes, 4096);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxTransferBytes, 64 << 20);
        ArgumentOutOfRangeException.ThrowIfNotEqual(maxTransferBytes % 4096, 0, nameof(maxTransferBytes));
        MaxTransferBytes = maxTransferBytes;
    }

    /// <summary>Raised when a unit has come or gone; the controller then asks its guest to look again.</summary>
    public event Action? UnitsChanged;

    /// <summary>The most that one command moves, in bytes.</summary>
    public int MaxTransferBytes { get; }

    /// <summary>The units there are, by number.</summary>
    public IReadOnlyList<(int Lun, ScsiDisk Disk)> Units =>
        [.. Enumerable.Range(0, MaxUnits).Select(lun => (lun, Volatile.Read(ref _units[lun])!)).Where(unit => unit.Item2 is not null)];

    /// <summary>The unit with a number, or null.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="lun"/> is none below <see cref="MaxUnits"/>.</exception>
    public ScsiDisk? this[int lun]
    {
        get
        {
            CheckNumber(lun);
            return Volatile.Read(ref _units[lun]);
        }
    }

    /// <summary>Makes a disk a unit.</summary>
    /// <param name="lun">Its number.</param>
    /// <param name="device">The disk. It stays its owner's, who disposes it after <see cref="Detach"/>.</param>
    /// <param name="options">What the guest is told about it; null gives it a random identity.</param>
    /// <exception cref="InvalidOperationException">The number is taken.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="lun"/> is none below <see cref="MaxUnits"/>.</exception>
    public ScsiDisk Attach(int lun, IBlockDevice device, ScsiDiskOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        CheckNumber(lun);
        ScsiDisk disk;
        lock (_lock)
        {
            if (_units[lun] is not null)
            {
                throw new InvalidOperationException($"Unit {lun} is there already: detach it first, or take another number.");
            }

            disk = new ScsiDisk(device, options ?? new ScsiDiskOptions(), MaxTransferBytes);
            Volatile.Write(ref _units[lun], disk);
        }

        UnitsChanged?.Invoke();
        return disk;
    }

    /// <summary>Takes a unit away. Commands that are under way end as they would have; the disk may be disposed at once, since it waits for them.</summary>
    /// <returns>False when there was none.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="lun"/> is none below <see cref="MaxUnits"/>.</exception>
    public bool Detach(int lun)
    {
        CheckNumber(lun);
        lock (_lock)
        {
            if (_units[lun] is not { } disk)
            {
                return false;
            }

            disk.Release();
            Volatile.Write(ref _units[lun], null);
        }

        UnitsChanged?.Invoke();
        return true;
    }

    /// <summary>Executes a command. Never throws, whatever the guest sent.</summary>
    /// <param name="request">The command; it stays in use until the result has been awaited.</param>
    /// <param name="cancellationToken">Aborts it where that can be done.</param>
    internal ValueTask<ScsiResult> ExecuteAsync(ScsiRequest request, CancellationToken cancellationToken = default)
    {
        var isHere = request.Path == 0 && request.Target == 0;
        if (request.Cdb.Opcode == ScsiOpcode.ReportLuns && request.CdbLength >= request.Cdb.GroupLength)
        {
            return ValueTask.FromResult(ReportLuns(request, isHere));
        }

        return isHere && request.Lun < MaxUnits && Volatile.Read(ref _units[request.Lun]) is { } disk
            ? disk.ExecuteAsync(request, cancellationToken)
            : ValueTask.FromResult(AnswerForAbsent(request));
    }

    /// <summary>The guest has reset the controller: each unit says so once.</summary>
    internal void Reset()
    {
        foreach (var (_, disk) in Units)
        {
            disk.Reset();
        }
    }

    // hv_storvsc takes a failed INQUIRY for a successful one, so an absent unit must succeed and say that nothing can be there (SPC-3, 6.4.2).
    private static ScsiResult AnswerForAbsent(ScsiRequest request)
    {
        var cdb = request.Cdb;
        if (cdb.Opcode != ScsiOpcode.Inquiry || request.CdbLength < cdb.GroupLength)
        {
            return ScsiResult.NoSuchUnit;
        }

        if (cdb.WantsVpd || cdb.VpdPage != 0)
        {
            return ScsiResult.Check(ScsiSense.InvalidFieldInCdb);
        }

        Span<byte> answer = stackalloc byte[InquiryData.StandardSize];
        InquiryData.WriteAbsent(answer);
        return request.Answer(answer);
    }

    private ScsiResult ReportLuns(ScsiRequest request, bool isHere)
    {
        if (request.Cdb.SelectReport > 2)
        {
            return ScsiResult.Check(ScsiSense.InvalidFieldInCdb);
        }

        Span<byte> answer = stackalloc byte[8 + (8 * MaxUnits)];
        answer.Clear();
        var end = 8;
        if (isHere && request.Cdb.SelectReport != 1) // 1 asks for well-known units, of which there are none
        {
            for (var lun = 0; lun < MaxUnits; lun++)
            {
                if (Volatile.Read(ref _units[lun]) is not null)
                {
                    answer[end + 1] = (byte)lun;
                    end += 8;
                }
            }
        }

        BinaryPrimitives.WriteInt32BigEndian(answer, end - 8);
        return request.Answer(answer[..end]);
    }

    private static void CheckNumber(int lun)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lun);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(lun, MaxUnits);
    }
}
