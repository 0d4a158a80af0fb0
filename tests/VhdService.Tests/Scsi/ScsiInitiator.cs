using VhdCore.Devices;
using VhdCore.Primitives;
using VhdCore.Testing;
using VhdService.Scsi;

namespace VhdService.Tests.Scsi;

/// <summary>Sends commands to a target, as a guest's driver would.</summary>
internal sealed class ScsiInitiator(ScsiTarget target) : IDisposable
{
    private readonly ScsiRequest _request = new();

    public ScsiInitiator(IBlockDevice device, Guid? id = null, int maxTransferBytes = 1 << 20)
        : this(new ScsiTarget(maxTransferBytes))
    {
        Target.Attach(0, device, new ScsiDiskOptions { Id = id ?? Guid.NewGuid() });
    }

    public ScsiTarget Target { get; } = target;

    public byte Path { get; set; }

    public byte TargetNumber { get; set; }

    public byte Lun { get; set; }

    /// <summary>A command without data.</summary>
    public ScsiResult Send(string cdb) => Send(cdb, ScsiDirection.None, default);

    /// <summary>A command that reads; what it left of the memory untouched is FFh.</summary>
    public (ScsiResult Result, byte[] Data) Receive(string cdb, int length)
    {
        using var memory = new NativeBuffer(length);
        memory.Span.Fill(0xFF);
        var result = Send(cdb, ScsiDirection.FromUnit, memory.Buffers);
        return (result, memory.Span.ToArray());
    }

    /// <summary>A command that reads, of which success is expected; the bytes that were moved.</summary>
    public byte[] Get(string cdb, int length)
    {
        var (result, data) = Receive(cdb, length);
        Assert.Equal(ScsiResult.Good(result.Transferred), result);
        Assert.All(data.Skip((int)result.Transferred), rest => Assert.Equal(0xFF, rest));
        return data[..(int)result.Transferred];
    }

    /// <summary>A command that sends data along.</summary>
    public ScsiResult Give(string cdb, ReadOnlySpan<byte> data)
    {
        using var memory = new NativeBuffer(data);
        return Send(cdb, ScsiDirection.ToUnit, memory.Buffers);
    }

    public ScsiResult Send(string cdb, ScsiDirection direction, BlockBuffers data)
    {
        var task = SendAsync(Convert.FromHexString(cdb.Replace(" ", "", StringComparison.Ordinal)), direction, data);
        return task.AsTask().WaitAsync(Patience.Hang).GetAwaiter().GetResult();
    }

    public ValueTask<ScsiResult> SendAsync(ReadOnlySpan<byte> cdb, ScsiDirection direction, BlockBuffers data)
    {
        _request.Set(Path, TargetNumber, Lun, cdb, direction, data);
        return Target.ExecuteAsync(_request);
    }

    /// <summary>The result of a command that has ended, without the Task that awaiting would make.</summary>
    public static ScsiResult Take(in ValueTask<ScsiResult> command)
    {
        Assert.True(command.IsCompleted);
        return command.GetAwaiter().GetResult();
    }

    public void Dispose() => _request.Dispose();
}
