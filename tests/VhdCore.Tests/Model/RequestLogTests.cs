namespace VhdCore.Tests.Model;

/// <summary>The judge of the model test finds what it is there to find.</summary>
public class RequestLogTests
{
    private const int Sector = RequestLog.SectorSize;

    [Fact]
    public void A_lost_write_is_found()
    {
        var log = new RequestLog(new byte[Sector]);
        var write = log.BeginChange(0, Sector, Filled(1));
        log.End(write);
        log.AddRead(0, new byte[Sector], log.Now());
        Assert.NotNull(log.Judge());
    }

    [Fact]
    public void A_write_under_way_may_be_seen_or_not()
    {
        var log = new RequestLog(new byte[Sector]);
        log.BeginChange(0, Sector, Filled(1));
        log.AddRead(0, new byte[Sector], log.Now());
        log.AddRead(0, Filled(1), log.Now());
        Assert.Null(log.Judge());
    }

    [Fact]
    public void Bytes_that_nobody_wrote_are_found()
    {
        var log = new RequestLog(new byte[2 * Sector]);
        var write = log.BeginChange(0, Sector, Filled(1));
        log.End(write);
        log.AddRead(Sector, Filled(1), log.Now());
        Assert.NotNull(log.Judge());
    }

    [Fact]
    public void Two_writes_mixed_in_one_sector_are_found()
    {
        var log = new RequestLog(new byte[Sector]);
        log.BeginChange(0, Sector, Filled(1));
        log.BeginChange(0, Sector, Filled(2));
        var mixed = Filled(1);
        mixed.AsSpan(0, 100).Fill(2);
        log.AddRead(0, mixed, log.Now());
        Assert.NotNull(log.Judge());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_read_that_may_tear_is_judged_by_what_had_ended(bool haveEnded)
    {
        var log = new RequestLog(new byte[Sector], readsMayTear: true);
        RequestLog.Change[] writes = [log.BeginChange(0, Sector, Filled(1)), log.BeginChange(0, Sector, Filled(2))];
        foreach (var write in haveEnded ? writes : [])
        {
            log.End(write);
        }

        var mixed = Filled(2);
        mixed.AsSpan(0, 100).Fill(1);
        log.AddRead(0, mixed, log.Now());
        Assert.Equal(haveEnded, log.Judge() is not null);
    }

    [Fact]
    public void A_trim_may_be_taken_or_not_and_hides_nothing()
    {
        var log = new RequestLog(Filled(1));
        var trim = log.BeginChange(0, Sector, content: null, isHint: true);
        log.End(trim);
        log.AddRead(0, Filled(1), log.Now());
        log.AddRead(0, new byte[Sector], log.Now());
        Assert.Null(log.Judge());
        log.AddRead(0, Filled(2), log.Now());
        Assert.NotNull(log.Judge());
    }

    private static byte[] Filled(byte value) => [.. Enumerable.Repeat(value, Sector)];
}
